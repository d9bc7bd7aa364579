"""LiteRT on the processor."""

from typing import Any, get_args

import numpy as np

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError, BackendMissingError
from littoral.model import tensors
from littoral.model.backends.base import Array

# Their kernels keep state in the interpreter, and begin the next invoke with it.
_REMEMBERING = frozenset(
    {
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
    }
)
_IDENTIFIER = b"TFL3"  # at the fifth byte of a .tflite
_DTYPES = get_args(Tensor.__annotations__["dtype"])


def missing(error: ImportError) -> BackendMissingError:
    """Return what it means that LiteRT cannot be imported."""
    return BackendMissingError(
        f"LiteRT is not installed ({error}); run: pip install 'littoral[serve]'"
    )


def refused(error: Exception, model: bytes = b"") -> BackendError:
    """Return what it means that LiteRT does not take ``model``."""
    from littoral.model.compiled import OPERATOR

    words = " ".join(str(error).split())
    if OPERATOR in words:
        words = (
            "it was compiled for an Edge TPU, and the processor is to run it; take the file that "
            "it was compiled from, or for the TPU a bundle that holds both"
        )
    elif "valid Flatbuffer" in words and model[4:8] == _IDENTIFIER:
        words = "the file is damaged or cut short"
    elif "valid Flatbuffer" in words:
        words = "it is no TFLite; 'littoral convert' makes that of other models"
    return BackendError(f"LiteRT refuses this model: {words}")


class LiteRTSession:
    """An Interpreter with its tensors allocated."""

    def __init__(self, model: bytes, *, threads: int = 1, delegates: tuple[Any, ...] = ()) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as e:
            raise missing(e) from e
        try:
            interpreter = Interpreter(
                model_content=model, num_threads=threads, experimental_delegates=delegates or None
            )
            interpreter.allocate_tensors()
            ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
            names = _signature_names(interpreter)
        except (ValueError, RuntimeError) as e:
            raise refused(e, model) from e
        self._interpreter = interpreter
        self._in = tuple(int(d["index"]) for d in ins)
        self._out = tuple(int(d["index"]) for d in outs)
        self._remembers = not _REMEMBERING.isdisjoint(self.operators)
        self.inputs = tuple(_spec(d, names) for d in ins)
        self.outputs = tuple(_spec(d, names) for d in outs)

    @property
    def operators(self) -> tuple[str, ...]:
        """Return the model's operators, one name for each that it has.

        Raises:
            BackendError: Their names are no text, or their tensors are not there.

        """
        inner = self._interpreter._interpreter  # noqa: SLF001 (the details take ten times as long)
        try:
            names = [inner.NodeName(k) for k in range(inner.NumNodes())]
        except (ValueError, RuntimeError, LookupError, TypeError) as e:
            raise BackendError(f"LiteRT cannot tell the model's operators: {e}") from e
        return tuple(name for name in names if name != "DELEGATE")

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        # Interpreter's own methods look for views of its tensors, of which there are none here,
        # and count who holds the inner one: 2 us of the 60 that a small model takes.
        inner = self._interpreter._interpreter  # noqa: SLF001
        try:
            for index, value in zip(self._in, inputs, strict=True):
                inner.SetTensor(index, value)
        except ValueError:
            tensors.check_all(inputs, self.inputs)
            raise
        try:
            if self._remembers:  # an answer is to its own request: 0.3 us
                inner.ResetVariableTensors()
            inner.Invoke()
        except (ValueError, RuntimeError) as e:
            raise BackendError(f"the model failed: {' '.join(str(e).split())}") from e
        return tuple(inner.GetTensor(index, 0) for index in self._out)


def _signature_names(interpreter: Any) -> dict[int, str]:  # noqa: ANN401
    """Return by tensor index the name that people gave it, where the model has one signature."""
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        return {}
    runner = interpreter.get_signature_runner(signatures[0])
    details = {**runner.get_input_details(), **runner.get_output_details()}
    return {int(detail["index"]): name for name, detail in details.items()}


def _spec(detail: dict[str, Any], names: dict[int, str]) -> Tensor:
    dtype = np.dtype(detail["dtype"]).name
    if dtype not in _DTYPES:
        raise BackendError(f"tensor {detail['name']!r} is of {dtype}, which is not supported")
    scale, zero_point = detail["quantization"]
    try:
        return Tensor(
            name=names.get(int(detail["index"]), detail["name"]),
            shape=tuple(int(n) for n in detail["shape"]),
            dtype=dtype,
            scale=float(scale),
            zero_point=int(zero_point),
        )
    except ValueError as e:
        raise BackendError(f"this model cannot be run: {e}") from e

"""ONNX Runtime: on the processor, with CUDA, or with TensorRT.

It falls back to the processor wherever something is missing, and says so in a log at most. Here
what was asked for runs, or it is said why not. A model takes and gives what it stores: where a
manifest's tensors are quantized and the model's are real, littoral.model.backends.border converts.
"""

import os
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError, BackendMissingError, NotDelegatedError, one_line
from littoral.model import tensors
from littoral.model.backends.base import Array

Provider = Literal["onnx", "cuda", "tensorrt"]

_PROVIDERS: Final[dict[Provider, str]] = {
    "onnx": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_DTYPES: Final = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
_ASSIGNED: Final = "session.record_ep_graph_assignment_info"
_BESIDE: Final = "session.model_external_initializers_file_folder_path"
_OLDEST: Final = (1, 21)  # that knows _BESIDE
_SILENT: Final = 4  # of its severities: what goes wrong is raised, too


def available(provider: Provider) -> str:
    """Return the version of ONNX Runtime, which has ``provider``.

    Raises:
        BackendMissingError: It is not installed, too old, or was built without.

    """
    runtime = imported()
    if _numbers(runtime.__version__) < _OLDEST:
        raise BackendMissingError(
            f"expected ONNX Runtime {'.'.join(map(str, _OLDEST))} or later, found "
            f"{runtime.__version__}: an older one reads whatever files a model names"
        )
    there = runtime.get_available_providers()
    if _PROVIDERS[provider] not in there:
        raise BackendMissingError(
            f"ONNX Runtime {runtime.__version__} was built without {_PROVIDERS[provider]} "
            f"(it has: {', '.join(there)}); install the build for this board's GPU"
        )
    return str(runtime.__version__)


class OnnxSession:
    """An InferenceSession whose graph runs where it was asked to.

    ``engines`` is a folder for what TensorRT builds of this model and of no other: it calls its
    files by the names of a graph's tensors and not by its weights.
    """

    def __init__(
        self,
        model: bytes,
        *,
        provider: Provider = "onnx",
        threads: int = 1,
        engines: Path | None = None,
    ) -> None:
        available(provider)
        self._errors = _errors()
        refused: tuple[type[Exception], ...] = (*self._errors, ValueError, RuntimeError)
        try:
            self._session = _open(model, provider, threads=threads, engines=engines)
        except refused as e:
            raise BackendError(f"ONNX Runtime refuses this model: {_words(e)}") from e
        _require(self._session, provider)
        self.inputs = tuple(_spec(one) for one in self._session.get_inputs())
        self._names = [spec.name for spec in self.inputs]
        outputs = self._session.get_outputs()
        self._wanted = [one.name for one in outputs]
        if all(_is_fixed(one.shape) for one in outputs):
            self.outputs = tuple(_spec(one) for one in outputs)
        else:
            self.outputs = self._seen(outputs)

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        tensors.check_all(inputs, self.inputs)
        try:
            made = self._session.run(self._wanted, dict(zip(self._names, inputs, strict=True)))
        except self._errors as e:
            raise BackendError(f"the model failed: {_words(e)}") from e
        return tuple(made)

    def _seen(self, outputs: Any) -> tuple[Tensor, ...]:  # noqa: ANN401
        """Return the outputs as they come for these inputs: the model leaves their shapes open."""
        made = self.run(*(np.zeros(spec.shape, spec.dtype) for spec in self.inputs))
        return tuple(_spec(one, found.shape) for one, found in zip(outputs, made, strict=True))


def _numbers(version: str) -> tuple[int, ...]:
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0,)


def imported() -> Any:  # noqa: ANN401 (a module that may not be there)
    """Return ONNX Runtime, which devices import here and nowhere else.

    Raises:
        BackendMissingError: It is not installed.

    """
    # Official builds from 1.29 on tell their maker what they run; this is read at the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as e:
        raise BackendMissingError(
            f"ONNX Runtime is not installed ({e}); run: pip install 'littoral[onnx]', or, for a "
            "GPU, the build of it that its maker offers"
        ) from e
    return onnxruntime


def _errors() -> tuple[type[Exception], ...]:
    """Return what its C++ raises: a dozen classes that share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (one for one in vars(state).values() if isinstance(one, type))
    return tuple(one for one in found if issubclass(one, Exception))


def _open(model: bytes, provider: Provider, *, threads: int, engines: Path | None) -> Any:  # noqa: ANN401
    runtime = imported()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    options.add_session_config_entry(_ASSIGNED, "1")
    # Threads that wait for the next operator would keep a board's cores busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A model's weights are in it. It may name files that hold them, in the folder that this process
    # is in: those nobody signed, and they are no model's to read. Here there are none.
    options.add_session_config_entry(_BESIDE, os.devnull)
    session = runtime.InferenceSession(
        model,
        sess_options=options,
        providers=_wanted(provider, engines),
        enable_fallback=0,  # else it prints, and runs on the processor
    )
    session._model_bytes = None  # noqa: SLF001 (held for the fallback alone)
    return session


def _wanted(provider: Provider, engines: Path | None) -> list[str | tuple[str, dict[str, Any]]]:
    """Return the providers, the preferred one first; the processor's is always the last."""
    match provider:
        case "onnx":
            return [_PROVIDERS["onnx"]]
        case "cuda":
            return [_PROVIDERS["cuda"], _PROVIDERS["onnx"]]
        case "tensorrt":
            # Explicit quantization needs it before TensorRT 11; without it integers run as floats.
            asked: dict[str, Any] = {"trt_int8_enable": True}
            if engines is not None:
                asked |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(engines)}
            ours = (_PROVIDERS["tensorrt"], asked)
            return [ours, _PROVIDERS["cuda"], _PROVIDERS["onnx"]]


def _require(session: Any, provider: Provider) -> None:  # noqa: ANN401
    """Raise BackendMissingError, NotDelegatedError where ``provider`` is not what runs it."""
    name = _PROVIDERS[provider]
    if name not in session.get_providers():  # a library that it needs is not there: it went on
        raise BackendMissingError(
            f"ONNX Runtime cannot start {name}: its libraries (CUDA, cuDNN, TensorRT) are not "
            "here, or are of other versions; 'littoral doctor' says which there are"
        )
    tell = getattr(session, "get_provider_graph_assignment_info", None)  # later versions have it
    if provider != "onnx" and tell is not None and name not in {part.ep_name for part in tell()}:
        raise NotDelegatedError(f"{name} took over none of its operators")


def _spec(one: Any, shape: tuple[int, ...] | None = None) -> Tensor:  # noqa: ANN401
    dtype = _DTYPES.get(one.type)
    if dtype is None:
        raise BackendError(f"tensor {one.name!r} is of {one.type}, which is not supported")
    sizes = one.shape if shape is None else shape
    # A dimension that has a name, or none, is the model's to leave open: mostly the batch.
    fixed = tuple(n if isinstance(n, int) and n > 0 else 1 for n in sizes)
    try:
        return Tensor(name=one.name, shape=fixed, dtype=dtype)  # type: ignore[arg-type]
    except ValueError as e:
        raise BackendError(f"this model cannot be run: {e}") from e


def _is_fixed(shape: Any) -> bool:  # noqa: ANN401
    return all(isinstance(n, int) and n > 0 for n in shape)


def _words(error: Exception) -> str:
    return one_line(str(error)).removeprefix("[ONNXRuntimeError] : ")[:500]

"""In a child: a .tflite file to a program: floats as they are, integers to be judged as they are.

LiteRT computes the true answers.
"""

import importlib.metadata
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError, MalformedError
from littoral.model import tensors
from littoral.model.backends import open_session
from littoral_converter import graph
from littoral_converter.graph import Operator, Subgraph
from littoral_converter.importers import constants, pinning, program, saving, signature, trim
from littoral_converter.importers.program import Job, Program
from littoral_converter.worker import Progress, Say

State = Literal["float", "integer", "bordered"]  # integers inside, floats at input and output

_EDGETPU: Final = "edgetpu-custom-op"
_INTEGERS: Final = {"int8", "uint8", "int16"}
_NARROW: Final = {"int8", "uint8", "int4", "int2"}
_TOLD: Final = 64  # samples between two words about progress


def run(job: Job, *, say: Say) -> Program:
    """Leave a program in the job's folder.

    Raises:
        MalformedError: The file is damaged.
        MisuseError: The samples have another shape than the model's input.
        ConversionError: The model has what cannot be converted; says what to do.

    """
    say(Progress(stage="reading the model"))
    model = job.model.read_bytes()
    found = graph.read(model)
    _check(job.model.name, found)
    wide = trim.widened(model)
    state = state_of(graph.read(wide).main)
    samples = np.load(job.samples, mmap_mode="r")
    shape = program.fixed(signature.declared(model), job.shape, seen=job.seen)
    saving.check(job, shape, samples)
    if pinning.is_open(model):
        model, wide = (_pinned(job.model.name, data, shape) for data in (model, wide))
    if state == "bordered":
        wide = trim.borders(wide)
    names = [found.names.get(k, "") for k in (found.main.inputs[0], found.main.outputs[0])]
    float_ = signature.give(
        wide,
        source=saving.name(job.input_name, names[0], otherwise="input"),
        answer=saving.name(job.output_name, names[1], otherwise="output"),
    )
    (job.folder / program.FLOAT).write_bytes(float_)
    np.save(job.folder / program.ANSWERS, _answers(model, samples, say=say))
    return Program(
        parameters=constants.parameters(float_),
        layers=constants.operators(float_),
        software=saving.software(litert=importlib.metadata.version("ai-edge-litert")),
        integer=state != "float",
    )


def state_of(main: Subgraph) -> State:
    """Return what a model computes in.

    Raises:
        ConversionError: Its weights are of a kind that is not widened, or its borders of none.

    """
    mixed = [operator for operator in main.operators if _is_mixed(main, operator)]
    if mixed:
        raise ConversionError(
            f"the weights of {len(mixed)} operators ({mixed[0].name}, …) have fewer than 8 bits "
            "beside floats; convert the float model that it was made of"
        )
    taken, given = (main.tensors[k].dtype for k in (main.inputs[0], main.outputs[0]))
    inner = {main.tensors[k].dtype for o in main.operators for k in o.outputs}
    if taken in _INTEGERS:
        return "integer"
    if taken == given == "float32":
        return "bordered" if inner & _INTEGERS else "float"
    raise ConversionError(
        f"expected an input of float32 or of quantized integers, and an output of the same; found "
        f"{taken} and {given}"
    )


def _is_mixed(main: Subgraph, operator: Operator) -> bool:
    taken = [main.tensors[k] for k in operator.inputs if k >= 0]
    given = [main.tensors[k] for k in operator.outputs]
    floats = bool(given) and all(t.dtype == "float32" for t in given)
    return (
        floats
        and operator.name != "DEQUANTIZE"
        and any(t.constant and t.dtype in _NARROW for t in taken)
    )


def _check(name: str, found: graph.Graph) -> None:
    main = found.main
    if any(o.custom and o.name == _EDGETPU for o in main.operators):
        raise ConversionError(
            f"{name}: is compiled for an Edge TPU, and cannot be read back; give the file that it "
            "was compiled from, with --target edgetpu ('littoral inspect' reads this one)"
        )
    for what, tensors_ in (("inputs", main.inputs), ("outputs", main.outputs)):
        if len(tensors_) != 1:
            raise ConversionError(
                f"{name}: expected a model of one input and one output, found {len(tensors_)} "
                f"{what}; this version converts no other"
            )
    if not main.operators:
        raise MalformedError(f"{name}: the TFLite model computes nothing")


def _pinned(name: str, model: bytes, shape: tuple[int, ...]) -> bytes:
    try:
        return pinning.pinned(model, shape)
    except (RuntimeError, ValueError) as e:
        raise ConversionError(f"{name}: cannot work on {list(shape)}: {e}") from e


def _answers(model: bytes, samples: NDArray[np.float32], *, say: Say) -> NDArray[Any]:
    session = open_session("litert", model)
    (source,), (answer,) = session.inputs, session.outputs
    found = []
    for done, sample in enumerate(samples):
        if done % _TOLD == 0:
            say(Progress(stage="asking the model", done=done, of=len(samples)))
        (raw,) = session.run(tensors.quantize(sample[None], source))
        found.append(tensors.dequantize(raw, answer)[0])
    return np.stack(found).astype(np.float32)

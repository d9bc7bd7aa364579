"""In a child: an exported PyTorch program (.pt2) to a program, by litert-torch.

PyTorch computes the true answers.
"""

import os
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from littoral.errors import ConversionError, MalformedError
from littoral_converter.importers import layout, program, pt2, saving, signature
from littoral_converter.importers.layout import Node
from littoral_converter.importers.program import Job, Open, Program
from littoral_converter.tf_converter import one_line
from littoral_converter.worker import Progress, Say

_CHANNELS: Final = frozenset(
    {
        *("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose2d", "batch_norm"),
        *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "group_norm"),
        *("instance_norm", "pixel_shuffle", "pixel_unshuffle", "upsample_bilinear2d"),
        *("upsample_nearest2d", "_native_batch_norm_legit_no_training"),
    }
)
_EACH: Final = frozenset(
    {
        *("add", "sub", "mul", "div", "neg", "abs", "sqrt", "exp", "pow", "clamp", "relu", "relu_"),
        *("sigmoid", "tanh", "hardtanh", "hardswish", "silu", "gelu", "leaky_relu", "dropout"),
        *("clone", "contiguous", "alias", "to", "pad", "constant_pad_nd", "detach", "_to_copy"),
    }
)
_TRAINING: Final = ("batch_norm", "dropout", "native_dropout", "instance_norm")


def run(job: Job, *, say: Say) -> Program:
    """Leave a program in the job's folder.

    Raises:
        MalformedError: The archive is damaged.
        MisuseError: The samples have another shape than the model's input.
        ConversionError: The model has what cannot be converted; says what to do.

    """
    say(Progress(stage="looking into the model"))
    clean = job.folder / "clean.pt2"
    pt2.rewrite(job.model, clean)
    say(Progress(stage="loading PyTorch"))
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    import torch

    say(Progress(stage="loading the model"))
    exported = _load(torch, clean, name=job.model.name)
    _check_trained(exported)
    source, declared = _source(torch, exported)
    first = layout.channels_first(source, len(declared), _nodes(exported))
    samples = np.load(job.samples, mmap_mode="r")
    given = layout.given(job, declared[1:], first=first, found=samples.shape[1:])
    model = exported.module()
    with torch.no_grad():
        answers = saving.answers(
            lambda x: model(torch.from_numpy(x)).numpy(),
            given.original(samples),
            batch=declared[0] or program.BATCH,
            say=say,
        )
    last = first and answers.ndim == len(declared)
    built = _convert(torch, model, given, last=last, job=job, say=say)
    float_ = signature.give(
        built,
        source=saving.name(job.input_name, source, otherwise="input"),
        answer=saving.name(job.output_name, None, otherwise="output"),
    )
    (job.folder / program.FLOAT).write_bytes(float_)
    order = layout.last(answers.ndim) if last else range(answers.ndim)
    np.save(job.folder / program.ANSWERS, np.transpose(answers, tuple(order)))
    return Program(
        parameters=sum(p.numel() for p in exported.state_dict.values()),
        layers=dict(sorted(Counter(_kind(node) for node in _calls(exported)).items())),
        software=saving.software(torch=torch.__version__, litert_torch=version("litert-torch")),
        axes=given.axes,
    )


def _load(torch: Any, clean: Path, *, name: str) -> Any:  # noqa: ANN401
    try:
        return torch.export.load(str(clean))
    # Its reader asserts, looks up and evaluates: whatever it raises, it cannot read this.
    except Exception as e:
        raise MalformedError(
            f"{name}: PyTorch {torch.__version__} cannot read it; export it again with a version "
            f"near that one: {one_line(e)}"
        ) from e


def _source(torch: Any, exported: Any) -> tuple[str, Open]:  # noqa: ANN401
    """Return the one input's name, and its shape with the batch."""
    names = exported.graph_signature.user_inputs
    answers = exported.graph_signature.user_outputs
    for what, found in (("inputs", names), ("outputs", answers)):
        if len(found) != 1:
            raise ConversionError(
                f"expected a model of one input and one output, found {len(found)} {what} "
                f"({', '.join(map(str, found))}); this version converts no other"
            )
    (node,) = (n for n in exported.graph.nodes if n.op == "placeholder" and n.name == names[0])
    value = node.meta["val"]
    if value.dtype != torch.float32:
        kind = str(value.dtype).removeprefix("torch.")
        raise ConversionError(f"expected an input of float32, found {kind}")
    shape = tuple(n if isinstance(n, int) else None for n in value.shape)
    if not shape or (shape[0] or 1) > 1:
        raise ConversionError(
            f"the batch is fixed at {shape[0] if shape else 'nothing'}; export the model with an "
            "example of batch 1, or an open one: dynamic_shapes={'x': {0: torch.export.Dim.AUTO}}"
        )
    return node.name, shape


def _check_trained(exported: Any) -> None:  # noqa: ANN401
    """Refuse a model that was exported as it trains, and answers so."""
    for node in _calls(exported):
        if _kind(node) not in _TRAINING:
            continue
        for argument in node.target._schema.arguments:  # noqa: SLF001 (its documented form is text)
            if argument.name not in {"training", "train", "use_input_stats"}:
                continue
            at = [a.name for a in node.target._schema.arguments].index(argument.name)  # noqa: SLF001
            value = node.kwargs.get(argument.name, node.args[at] if at < len(node.args) else False)
            if value is True:
                raise ConversionError(
                    f"the model was exported as it trains ({_kind(node)}); call model.eval() "
                    "before torch.export.export"
                )


def _nodes(exported: Any) -> Iterator[Node]:  # noqa: ANN401
    for node in _calls(exported):
        yield Node(
            role=layout.role(_kind(node), channels=_CHANNELS, each=_EACH),
            inputs=tuple(one.name for one in node.all_input_nodes),
            outputs=(node.name,),
        )


def _calls(exported: Any) -> list[Any]:  # noqa: ANN401
    return [node for node in exported.graph.nodes if node.op == "call_function"]


def _kind(node: Any) -> str:  # noqa: ANN401
    """Return an operator's name without the library before it and the overload behind it."""
    name = getattr(node.target, "_schema", None)
    return str(name.name).partition("::")[2] if name is not None else node.target.__name__


def _convert(
    torch: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    given: layout.Samples,
    *,
    last: bool,
    job: Job,
    say: Say,
) -> bytes:
    say(Progress(stage="converting PyTorch to TFLite"))
    import litert_torch

    class Turned(torch.nn.Module):  # type: ignore[misc]
        """The model with its channels last, at its input and, with ``last``, at its output."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.training = model, False

        def train(self, _: bool = True) -> Any:  # noqa: ANN401, FBT001, FBT002 (torch's own)
            """Stay as exported: a program has no other way to run."""
            return self

        def forward(self, x: Any) -> Any:  # noqa: ANN401
            found = self.inner(x.movedim(-1, 1) if given.first else x)
            return found.movedim(1, -1) if last else found

    out = job.folder / "litert-torch.tflite"
    try:
        example = torch.zeros(1, *given.program)
        litert_torch.convert(Turned(), (example,)).export(str(out))
    # What lies between them (JAX, MLIR) raises classes of its own, and does not document which.
    except Exception as e:
        raise ConversionError(f"litert-torch cannot convert the model: {one_line(e)}") from e
    return out.read_bytes()

"""What is asked of a model that either Keras has loaded, and of the file that it lies in."""

from collections import Counter
from pathlib import Path
from typing import Any

from littoral.errors import ConversionError
from littoral_converter.importers import hdf5, program, saving
from littoral_converter.importers.program import Job


def named(path: Path, folder: Path) -> Path:
    """Return a link to the model in ``folder``: Keras goes by the name's end, we by the content."""
    link = folder / f"model.{'h5' if hdf5.is_one(path) else 'keras'}"
    if not link.is_symlink():
        link.symlink_to(path)
    return link


def declared(model: Any) -> program.Open:  # noqa: ANN401
    """Return the input's shape, with the batch.

    Raises:
        ConversionError: It is none of one input and one output, or takes no real numbers.

    """
    for what in ("inputs", "outputs"):
        found = getattr(model, what, None)
        if not found:
            raise ConversionError(
                "the model was saved before it knew its input, or is a class of its own; begin it "
                "with keras.Input, as a sequential or functional model, and save it again"
            )
        if len(found) != 1:
            raise ConversionError(
                f"expected a model of one input and one output, found {len(found)} {what}; "
                "this version converts no other"
            )
    (source,) = model.inputs
    dtype = getattr(source.dtype, "name", source.dtype)  # TensorFlow's own, or its name
    if dtype != "float32":
        raise ConversionError(f"expected an input of float32, found {dtype}")
    return tuple(source.shape)


def names(model: Any, job: Job) -> tuple[str, str]:  # noqa: ANN401
    """Return what the program's input and output are called."""
    source = saving.name(job.input_name, model.inputs[0].name, otherwise="input")
    return source, saving.name(job.output_name, model.layers[-1].name, otherwise="output")


def layers(model: Any) -> dict[str, int]:  # noqa: ANN401
    """Return how many layers of each class there are, those inside of layers too."""
    found = model._flatten_layers(include_self=False)  # noqa: SLF001 (no Keras has another way)
    return dict(sorted(Counter(type(layer).__name__ for layer in found).items()))

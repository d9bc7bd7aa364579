"""From a source to an INT8 model in the workshop: which importer reads it, what quantizes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import MisuseError
from littoral_converter import quantizing
from littoral_converter.importers import program
from littoral_converter.importers.program import Program
from littoral_converter.quantizing import INT8, Quantized
from littoral_converter.recipe import Recipe
from littoral_converter.source import Kind, Source
from littoral_converter.workshop import Workshop

_IMPORTERS: Final = {  # the step of littoral_converter.child that reads each kind
    Kind.KERAS3: "import-keras",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    program: Program
    quantized: Quantized


def build(
    shop: Workshop,
    source: Source,
    chosen: NDArray[np.float32],
    samples: Path,
    *,
    recipe: Recipe,
    targets: tuple[str, ...],
) -> Built:
    """Leave the program and INT8 in the shop's folder.

    ``chosen`` are the calibration samples, ``samples`` the .npy of what both models are asked.

    Raises:
        MisuseError: Nothing reads the source, or the samples are not what it takes.
        ConversionError: It cannot be read or quantized; says what to do.

    """
    found = read(shop, source, samples, seen=chosen.shape[1:], recipe=recipe)
    job = quantizing.Job(
        model=shop.folder / program.FLOAT,
        out=shop.folder / INT8,
        calibration=shop.keep("calibration.npy", chosen),
        io=recipe.quantize.io,
        # Edge TPUs know one scale for a dense layer's weights, and its twin is the same.
        dense_per_tensor="edgetpu" in targets,
    )
    return Built(program=found, quantized=shop.do("quantize", job, Quantized, name="quantize"))


def read(
    shop: Workshop, source: Source, samples: Path, *, seen: tuple[int, ...], recipe: Recipe
) -> Program:
    """Leave the program and the framework's own answers to ``samples`` in the shop's folder.

    ``seen`` is the shape of one sample, for words about what is open.

    Raises:
        MisuseError: Nothing reads the source, or the samples are not what it takes.
        ConversionError: It cannot be read; says what to do.

    """
    step = _IMPORTERS.get(source.kind)
    if step is None:
        known = ", ".join(_IMPORTERS)
        raise MisuseError(
            f"{source.path}: this is a model of {source.kind}; this version converts {known}"
        )
    job = program.Job(
        model=source.path.resolve(),
        folder=shop.folder,
        samples=samples,
        seen=seen,
        shape=recipe.input.shape,
        input_name=recipe.input.name,
        output_name=recipe.output.name,
    )
    return shop.do(step, job, Program, name="read the model")

"""From a source to an INT8 model in the workshop: which importer reads it, what quantizes it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from littoral_converter import guarding, quantizing
from littoral_converter.importers import program, readers
from littoral_converter.importers.program import Program
from littoral_converter.quantizing import INT8, Guarded, Quantized
from littoral_converter.recipe import Recipe
from littoral_converter.source import Source
from littoral_converter.workshop import Workshop


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
    truth: Path | None = None,
) -> Built:
    """Leave the program and INT8 in the shop's folder.

    ``chosen`` are the calibration samples, ``samples`` the .npy of what both models are asked,
    ``truth`` that of the true classes, where they are known.

    Raises:
        MissingExtraError: The packages that read it are not there.
        MisuseError: The samples are not what it takes.
        ConversionError: It cannot be read or quantized; says what to do.

    """
    found = read(shop, source, samples, seen=chosen.shape[1:], recipe=recipe)
    if found.integer:
        shutil.copyfile(shop.folder / program.FLOAT, shop.folder / INT8)
        return Built(program=found, quantized=Quantized())
    job = quantizing.Job(
        model=shop.folder / program.FLOAT,
        out=shop.folder / INT8,
        calibration=shop.keep("calibration.npy", program.arranged(chosen, found)),
        kind=recipe.quantize.kind,
        io=recipe.quantize.io,
        steps=recipe.quantize.steps,
        keep_float=recipe.quantize.keep_float,
        mixed=_guarded(shop, found, samples, truth, recipe=recipe, targets=targets),
        # Edge TPUs know one scale for a dense layer's weights, and its twin is the same.
        dense_per_tensor="edgetpu" in targets,
    )
    return Built(program=found, quantized=shop.do("quantize", job, Quantized, name="quantize"))


def _guarded(
    shop: Workshop,
    found: Program,
    samples: Path,
    truth: Path | None,
    *,
    recipe: Recipe,
    targets: tuple[str, ...],
) -> Guarded | None:
    """Return what decides whether operators are given back floats; None: none are."""
    # An Edge TPU runs one part of a model, and floats in it would end that part.
    if not recipe.guard.mix or recipe.quantize.kind != "int8" or "edgetpu" in targets:
        return None
    if found.axes:
        samples = shop.keep("asked.npy", program.arranged(np.load(samples, mmap_mode="r"), found))
    answers, limit = shop.folder / program.ANSWERS, guarding.Limit.of(recipe.guard)
    return Guarded(samples=samples, answers=answers, truth=truth, limit=limit)


def read(
    shop: Workshop, source: Source, samples: Path, *, seen: tuple[int, ...], recipe: Recipe
) -> Program:
    """Leave the program and the framework's own answers to ``samples`` in the shop's folder.

    ``seen`` is the shape of one sample, for words about what is open.

    Raises:
        MissingExtraError: The packages that read it are not there.
        MisuseError: The samples are not what it takes.
        ConversionError: It cannot be read; says what to do.

    """
    step = readers.need(source.kind)
    job = program.Job(
        model=source.path.resolve(),
        folder=shop.folder,
        samples=samples,
        seen=seen,
        shape=recipe.input.shape,
        input_name=recipe.input.name,
        output_name=recipe.output.name,
        signature=recipe.input.signature,
    )
    return shop.do(step, job, Program, name="read the model")

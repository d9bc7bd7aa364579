"""From a source to an INT8 model in the workshop: which importer reads it, what quantizes it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import BackendError, ConversionError
from littoral_converter import check, guarding, quantizing, tf_converter
from littoral_converter.importers import fusing, program, readers
from littoral_converter.importers.program import Program
from littoral_converter.importers.recurrent import Wanted
from littoral_converter.quantizing import INT8, Guarded, Kind, Quantized
from littoral_converter.recipe import Quantize, Recipe
from littoral_converter.source import Source
from littoral_converter.targets import mobile
from littoral_converter.workshop import Workshop

# TFLite's fused LSTM knows int8 and floats; of weights alone, loops are the smallest.
_LOOPS: Final[dict[Kind, Wanted]] = {
    "int16x8": "unroll",
    "dynamic": "keep",
    "float16": "keep",
    "weights": "keep",
}
_GRAPHS: Final = frozenset({"WHILE", "IF"})  # operators that hold graphs of their own
_UNROLLED: Final = (
    "its LSTMs are written out step by step, which makes the model larger and slower: one operator "
    "each could not be made of them ({why})"
)
_SAVED: Final = frozenset({"serving", "browser"})  # targets that are made of a SavedModel


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
    wanted: Wanted = "fuse"
    notes: tuple[str, ...] = ()
    while True:
        found = read(
            shop,
            source,
            samples,
            seen=chosen.shape[1:],
            recipe=recipe,
            loops=wanted,
            saved=not _SAVED.isdisjoint(targets),
        )
        if "mobile" in targets:  # samples that have their channels first are pictures only now
            shape = program.arranged(chosen, found).shape[1:]
            mobile.check(shape, recipe.input.preprocessing, task=recipe.task)
        try:
            made = _quantize(
                shop, found, chosen, samples, truth=truth, recipe=recipe, targets=targets
            )
        except (BackendError, ConversionError) as e:
            if found.loops.way != "fused" or wanted != "fuse":
                raise
            wanted, notes = "unroll", (_UNROLLED.format(why=e),)
        else:
            found = replace(found, notes=(*found.notes, *notes))
            return Built(program=found, quantized=replace(made, loops=found.loops))


def _quantize(
    shop: Workshop,
    found: Program,
    chosen: NDArray[np.float32],
    samples: Path,
    *,
    truth: Path | None,
    recipe: Recipe,
    targets: tuple[str, ...],
) -> Quantized:
    read, out = shop.folder / program.FLOAT, shop.folder / INT8
    if found.integer:
        shutil.copyfile(read, out)
        return Quantized()
    calibration = shop.keep("calibration.npy", program.arranged(chosen, found))
    # Edge TPUs know one scale for a dense layer's weights, and its twin is the same.
    per_tensor = "edgetpu" in targets
    kind = _kind(found, check.read(read.read_bytes()).counts, recipe.quantize)
    if kind == "fused":
        told = tf_converter.Job(
            saved=shop.folder / program.SAVED,
            out=out,
            calibration=calibration,
            io=recipe.quantize.io,
            dense_per_tensor=per_tensor,
        )
        shop.do("tf-int8", told, tf_converter.Done, name="quantize")
        return Quantized()
    job = quantizing.Job(
        model=read,
        out=out,
        calibration=calibration,
        kind=kind,
        io=recipe.quantize.io,
        steps=recipe.quantize.steps,
        keep_float=recipe.quantize.keep_float,
        mixed=_guarded(shop, found, samples, truth, recipe=recipe, targets=targets),
        dense_per_tensor=per_tensor,
    )
    return shop.do("quantize", job, Quantized, name="quantize")


def _kind(found: Program, counts: Mapping[str, int], wanted: Quantize) -> Kind | Literal["fused"]:
    """Return what quantizes a program of these operators, and to what.

    Raises:
        ConversionError: It has loops, and no integers can be made of them.

    """
    if wanted.kind == "int8" and fusing.OPERATOR in counts and found.saved:
        return "fused"
    if wanted.kind not in {"int8", "int16x8"} or not _GRAPHS & counts.keys():
        return wanted.kind
    if wanted.allow_float:
        return "dynamic"
    why = found.loops.why or "they came so: unroll them where the model is made"
    raise ConversionError(
        f"the model has loops or conditions, and integers are made of neither ({why}); or keep "
        'them in floating point: [quantize] kind = "dynamic"'
    )


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
    shop: Workshop,
    source: Source,
    samples: Path,
    *,
    seen: tuple[int, ...],
    recipe: Recipe,
    loops: Wanted = "fuse",
    saved: bool = False,
) -> Program:
    """Leave the program and the framework's own answers to ``samples`` in the shop's folder.

    ``seen`` is the shape of one sample, for words about what is open; ``loops`` the most that is
    made of recurrent layers, where the recipe's kind of numbers allows it; ``saved`` whether SAVED
    is wanted where there can be one.

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
        loops=_LOOPS.get(recipe.quantize.kind, loops),
        saved=saved,
    )
    found = shop.do(step, job, Program, name="read the model")
    if found.fuse is None:
        return found
    why = f"tf-keras is not installed: {readers.INSTALL}"
    try:
        if find_spec("tf_keras") is not None:
            return _fused(shop, found, found.fuse)
    except ConversionError as e:
        why = str(e)
    # It is the same model, only larger.
    unrolled = shop.do(step, replace(job, loops="unroll"), Program, name="read the model")
    return replace(unrolled, notes=(*unrolled.notes, _UNROLLED.format(why=why)))


def _fused(shop: Workshop, found: Program, job: program.Fuse) -> Program:
    made = shop.do("fuse", fusing.job(shop.folder, job), fusing.Fused, name="fuse recurrent layers")
    choice = replace(found.loops, way="fused")
    software = found.software | made.software
    return replace(found, loops=choice, fuse=None, saved=True, software=software)

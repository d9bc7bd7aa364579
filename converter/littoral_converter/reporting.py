"""Fills in the report of a measured model: what was found, put where programs and people look."""

import dataclasses
import hashlib
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from littoral import __version__, machine
from littoral.bundle.baseline import Baseline
from littoral.bundle.manifest import Selftest, Tensor
from littoral.bundle.preprocessing import Preprocessing
from littoral.model import tensors
from littoral.model.selftest import Figures
from littoral_converter import baseline, budget, report
from littoral_converter.data import Data
from littoral_converter.edgetpu import target
from littoral_converter.evidence.looking import Seen
from littoral_converter.measure import Measured
from littoral_converter.recipe import Recipe
from littoral_converter.report import Compiled, Float, Given, Host, Report
from littoral_converter.targets.exports import Export
from littoral_converter.worker import Cost

_QUANTIZERS: Final = ("ai-edge-litert", "ai-edge-quantizer")  # beside what the importer used
_CHANNELS: Final = (1, 3, 4)
_IMAGES: Final = 4  # the rank of a batch of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What the release is called."""

    model: str
    release: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What a release's provenance says of the order for it."""

    targets: tuple[str, ...]
    started: datetime


def make(
    found: Measured,
    name: Name,
    *,
    wanted: Recipe,
    test: Selftest,
    proven: Figures,
    costs: dict[str, Cost],
    warnings: tuple[str, ...],
    made: datetime,
    seen: Seen,
    tpu: target.EdgeTpu | None,
    variants: tuple[Compiled, ...],
    exports: tuple[Export, ...],
    software: dict[str, str],
) -> Report:
    inputs, outputs = borders(found, wanted)
    return Report(
        format=report.FORMAT,
        model=name.model,
        release=name.release,
        label=name.label,
        task=found.task,
        made=made.isoformat(timespec="seconds"),
        source=Given(
            name=found.source.path.name,
            kind=found.source.kind,
            bytes=found.source.size,
            sha256=found.source.sha256,
        ),
        calibration=_given(found.learned, samples=found.calibrated),
        evaluation=None if found.judged is None else _given(found.judged),
        inputs=inputs,
        outputs=outputs,
        before=Float(
            bytes=found.float_bytes,
            parameters=found.built.program.parameters,
            latency=budget.latency(found.ran_float.cpu_us, found.ran_float.wall_us),
        ),
        variants=variants,
        edgetpu=tpu,
        exports=exports,
        selftest=test,
        proven=proven,
        baseline=_baseline(found),
        host=_host(),
        software=_software(found) | software,
        layers=found.built.program.layers,
        quantized=found.built.quantized,
        compression=found.compression,
        steps=costs,
        recipe=wanted,
        warnings=warnings,
        tensors=seen.tensors,
        worst=seen.worst,
        graph=seen.graph,
    )


def borders(found: Measured, wanted: Recipe) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the model's inputs and outputs, with what only people know about them."""
    image = len(found.input.shape) == _IMAGES and found.input.shape[-1] in _CHANNELS
    turned = len(found.input.shape) == _IMAGES and bool(found.built.program.axes)
    told = dataclasses.replace(
        found.input,
        # What was read with its channels first has become a program that takes them last.
        layout="NHWC" if turned else wanted.input.layout or ("NHWC" if image else None),
        preprocessing=_preprocessing(found) or wanted.input.preprocessing,
    )
    return (told,), found.ran.outputs


def _preprocessing(found: Measured) -> Preprocessing | None:
    """Return what was done to pictures here, with nothing left open; devices do the same."""
    every = (found.learned, found.judged)
    return next((d.preprocessing for d in every if d is not None and d.preprocessing), None)


def _baseline(found: Measured) -> Baseline:
    return baseline.describe(
        tensors.dequantize(found.answers, found.output),
        name=found.output.name,
        source="calibration" if found.judged is None else "evaluation",
        ranked=found.ranked,
    )


def compiled(found: Measured, *, name: str, file: str) -> Compiled:
    """Return what was found about the INT8 model, which is the variant ``name``."""
    return Compiled(
        id=name,
        file=file,
        bytes=len(found.int8),
        sha256=hashlib.sha256(found.int8).hexdigest(),
        fully_integer=found.graph.fully_integer,
        operators=found.graph.operators,
        constant_bytes=found.graph.constant_bytes,
        min_runtime=found.graph.min_runtime,
        likeness=found.likeness,
        latency=budget.latency(found.ran.cpu_us, found.ran.wall_us),
        score=found.score,
        regression=found.regression,
        detected=found.detected,
    )


def _given(data: Data, *, samples: int | None = None) -> Given:
    return Given(name=data.name, kind="samples", sha256=data.sha256, samples=samples or len(data))


def _software(found: Measured) -> dict[str, str]:
    quantizers = {name: metadata.version(name) for name in _QUANTIZERS}
    return {"littoral": __version__, **quantizers, **found.built.program.software}


def _host() -> Host:
    return Host(
        hardware=machine.cpu(),
        processor=_processor(),
        system=f"{platform.system()} {platform.release()}",
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

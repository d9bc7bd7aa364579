"""Makes a release of a measured model: self-test, budget, baseline, report, manifest."""

import dataclasses
import hashlib
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from littoral import __version__, machine, records
from littoral.bundle import manifest
from littoral.bundle.manifest import File, Manifest, Requires, Selftest, Tensor, Tolerance, Variant
from littoral.errors import ConversionError
from littoral.model import tensors
from littoral.model.selftest import Figures
from littoral_converter import baseline, budget, bundle, golden, litert, recipe, report
from littoral_converter.baseline import Baseline
from littoral_converter.data import Data
from littoral_converter.edgetpu import target
from littoral_converter.measure import Measured
from littoral_converter.recipe import Recipe
from littoral_converter.report import Compiled, Float, Given, Host, Report
from littoral_converter.worker import Cost
from littoral_converter.workshop import Workshop

MODEL: Final = "model-int8.tflite"
GOLDEN_INPUTS: Final = "golden-inputs.bin"
GOLDEN_OUTPUTS: Final = "golden-outputs.bin"
LABELS: Final = "labels.txt"
BASELINE: Final = "baseline.json"
REPORT: Final = "report.html"
REPORT_DATA: Final = "report.json"
VARIANT: Final = "cpu-int8"
HARDWARE: Final[tuple[manifest.Hardware, ...]] = ("cpu-x86_64", "cpu-aarch64", "cpu-armv7l")
_CHANNELS: Final = (1, 3, 4)
_IMAGES: Final = 4  # the rank of a batch of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What the release is called."""

    model: str
    release: int
    label: str


def write(
    folder: Path,
    found: Measured,
    name: Name,
    *,
    shop: Workshop,
    wanted: Recipe,
    warnings: tuple[str, ...],
    tpu: target.Built | None = None,
) -> Report:
    """Fill ``folder`` with the bundle; return its report.

    Raises:
        ConversionError: The model does not pass its own self-test.
        DiskFullError: There is no room.

    """
    vectors = golden.make(
        found.samples,
        found.answers,
        spec=found.input,
        count=wanted.selftest.count,
        ranked=found.ranked,
    )
    texts = {MODEL: found.int8, GOLDEN_INPUTS: vectors.inputs, GOLDEN_OUTPUTS: vectors.outputs}
    if tpu is not None and tpu.model is not None:
        texts[target.MODEL] = tpu.model
    files = bundle.add(folder, texts)
    test, proven = _prove(folder, found, wanted.selftest, count=vectors.count, shop=shop)
    late = budget.warning(proven.p95_cpu_us, test.p95_cpu_us, here=machine.cpu())
    written = _report(
        found,
        name,
        wanted=wanted,
        test=test,
        proven=proven,
        costs=shop.costs,
        warnings=warnings if late is None else (*warnings, late),
        tpu=None if tpu is None else tpu.about,
    )
    page = report.render(written, int8_cpu_us=found.ran.cpu_us, float_cpu_us=found.ran_float.cpu_us)
    texts = {
        BASELINE: records.to_json(written.baseline),
        REPORT: page,
        REPORT_DATA: written.to_json(),
    }
    if found.labels is not None:
        texts[LABELS] = "".join(f"{label}\n" for label in found.labels).encode()
    files |= bundle.add(folder, texts)
    bundle.seal(folder, _manifest(found, name, files=files, test=test, wanted=wanted, tpu=tpu))
    return written


def _prove(
    folder: Path, found: Measured, wanted: recipe.Selftest, *, count: int, shop: Workshop
) -> tuple[Selftest, Figures]:
    """Run the golden vectors as a device will; return the self-test, and how it went here."""
    job = litert.Prove(
        model=folder / MODEL,
        inputs=folder / GOLDEN_INPUTS,
        outputs=folder / GOLDEN_OUTPUTS,
        count=count,
    )
    proven = shop.do("prove", job, Figures, name="self-test")
    test = Selftest(
        count=count,
        inputs=GOLDEN_INPUTS,
        outputs=GOLDEN_OUTPUTS,
        tolerance=Tolerance(
            max_abs=wanted.tolerance_steps * _step(found),
            min_top1=wanted.min_top1 if found.ranked else 0.0,
        ),
        p95_cpu_us=budget.budgets(proven.p95_cpu_us, wanted, here=machine.cpu()),
        memory_bytes=wanted.memory_bytes,
    )
    check_repeats(proven)
    return test, proven


def check_repeats(proven: Figures) -> None:
    """Do nothing if the model gave the same answers again.

    Raises:
        ConversionError: It did not, so that no device could tell it from a damaged one.

    """
    if proven.max_abs > 0:
        raise ConversionError(
            f"the model does not repeat itself: run again, its answers differ by up to "
            f"{proven.max_abs:.6g}; it cannot be proven on a device"
        )


def _step(found: Measured) -> float:
    """Return the output's step in real units; of an output in floating point, what 8 bits have."""
    return found.output.scale or float(np.ptp(found.answers)) / 255 or 1e-6


def _baseline(found: Measured) -> Baseline:
    return baseline.describe(
        tensors.dequantize(found.answers, found.output),
        name=found.output.name,
        source="calibration" if found.judged is None else "evaluation",
        ranked=found.ranked,
    )


def _tensors(found: Measured, wanted: Recipe) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the model's inputs and outputs, with what only people know about them."""
    image = len(found.input.shape) == _IMAGES and found.input.shape[-1] in _CHANNELS
    told = dataclasses.replace(
        found.input,
        layout=wanted.input.layout or ("NHWC" if image else None),
        preprocessing=wanted.input.preprocessing,
    )
    return (told,), found.ran.outputs


def _manifest(
    found: Measured,
    name: Name,
    *,
    files: dict[str, File],
    test: Selftest,
    wanted: Recipe,
    tpu: target.Built | None,
) -> Manifest:
    inputs, outputs = _tensors(found, wanted)
    requires = Requires(
        hardware=HARDWARE,
        runtime=wanted.requires.runtime,
        operators=found.graph.versions,
        memory_bytes=wanted.requires.memory_bytes,
    )
    variants: tuple[Variant, ...] = (
        Variant(id=VARIANT, engine="tflite", files=(MODEL,), requires=requires),
    )
    if tpu is not None and tpu.model is not None:
        variants = (target.variant(tpu, requires), *variants)
    return Manifest(
        format=manifest.FORMAT,
        model=name.model,
        release=name.release,
        label=name.label,
        task=found.task,
        inputs=inputs,
        outputs=outputs,
        files=files,
        variants=variants,
        selftest=test,
        labels=LABELS if LABELS in files else None,
        baseline=BASELINE,
        report=REPORT,
        report_data=REPORT_DATA,
    )


def _report(
    found: Measured,
    name: Name,
    *,
    wanted: Recipe,
    test: Selftest,
    proven: Figures,
    costs: dict[str, Cost],
    warnings: tuple[str, ...],
    tpu: target.EdgeTpu | None,
) -> Report:
    inputs, outputs = _tensors(found, wanted)
    return Report(
        format=report.FORMAT,
        model=name.model,
        release=name.release,
        label=name.label,
        task=found.task,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
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
        variants=(_compiled(found),),
        edgetpu=tpu,
        selftest=test,
        proven=proven,
        baseline=_baseline(found),
        host=Host(
            hardware=machine.cpu(),
            processor=_processor(),
            system=f"{platform.system()} {platform.release()}",
        ),
        software={"littoral": __version__, **found.built.program.software},
        layers=found.built.program.layers,
        quantized=found.built.quantized,
        steps=costs,
        recipe=wanted,
        warnings=warnings,
    )


def _compiled(found: Measured) -> Compiled:
    return Compiled(
        id=VARIANT,
        file=MODEL,
        bytes=len(found.int8),
        sha256=hashlib.sha256(found.int8).hexdigest(),
        fully_integer=found.graph.fully_integer,
        operators=found.graph.operators,
        constant_bytes=found.graph.constant_bytes,
        min_runtime=found.graph.min_runtime,
        likeness=found.likeness,
        latency=budget.latency(found.ran.cpu_us, found.ran.wall_us),
        score=found.score,
    )


def _given(data: Data, *, samples: int | None = None) -> Given:
    return Given(name=data.name, kind="samples", sha256=data.sha256, samples=samples or len(data))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

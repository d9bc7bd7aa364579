"""Makes a release of a measured model: self-test, budget, baseline, report, manifest."""

from pathlib import Path
from typing import Final

import numpy as np

from littoral import machine, records
from littoral.bundle import manifest
from littoral.bundle.manifest import File, Manifest, Requires, Selftest, Tolerance, Variant
from littoral.errors import ConversionError
from littoral.model.selftest import Figures
from littoral_converter import budget, bundle, litert, recipe, report, reporting
from littoral_converter.edgetpu import target
from littoral_converter.evidence import bom, looking, moment, provenance
from littoral_converter.golden import Golden
from littoral_converter.measure import Measured
from littoral_converter.recipe import Recipe
from littoral_converter.report import Report
from littoral_converter.reporting import Name, Ordered
from littoral_converter.targets import exports
from littoral_converter.targets.building import Outputs
from littoral_converter.workshop import Workshop

GOLDEN_INPUTS: Final = "golden-inputs.bin"
GOLDEN_OUTPUTS: Final = "golden-outputs.bin"
LABELS: Final = "labels.txt"
BASELINE: Final = "baseline.json"
REPORT: Final = "report.html"
REPORT_DATA: Final = "report.json"
BOM: Final = "bom.json"
PROVENANCE: Final = "provenance.json"
HARDWARE: Final[tuple[manifest.Hardware, ...]] = ("cpu-x86_64", "cpu-aarch64", "cpu-armv7l")


def write(
    folder: Path,
    found: Measured,
    name: Name,
    *,
    shop: Workshop,
    wanted: Recipe,
    warnings: tuple[str, ...],
    ordered: Ordered,
    tpu: target.Built | None = None,
    outputs: Outputs | None = None,
) -> Report:
    """Fill ``folder`` with the bundle; return its report.

    Raises:
        ConversionError: The model does not pass its own self-test.
        DiskFullError: There is no room.

    """
    vectors = found.golden(wanted.selftest.count)
    outputs = outputs or Outputs()
    files = bundle.add(folder, _models(found, vectors, tpu, outputs))
    seen = looking.look(
        shop, found, edgetpu=tpu is not None, compiled=None if tpu is None else tpu.model
    )
    test, proven = _prove(folder, found, wanted.selftest, count=vectors.count, shop=shop)
    late = budget.warning(proven.p95_cpu_us, test.p95_cpu_us, here=machine.cpu())
    written = reporting.make(
        found,
        name,
        wanted=wanted,
        test=test,
        proven=proven,
        costs=shop.costs,
        warnings=warnings if late is None else (*warnings, late),
        made=ordered.started,
        seen=seen,
        tpu=None if tpu is None else tpu.about,
        variants=(
            reporting.compiled(found, name=found.variant, file=found.file),
            *(ready.about for ready in outputs.variants),
        ),
        exports=tuple(exports.placed(outputs.exports, folder)),
        software=outputs.software,
    )
    page = report.render(
        written,
        int8_cpu_us=found.ran.cpu_us,
        float_cpu_us=found.ran_float.cpu_us,
        shown=seen.shown,
    )
    files |= bundle.add(folder, _words(found, written, page))
    files |= _evidence(folder, written, files, ordered=ordered)
    told = _manifest(found, name, files=files, test=test, wanted=wanted, tpu=tpu, beside=outputs)
    bundle.seal(folder, told)
    return written


def _models(
    found: Measured, vectors: Golden, tpu: target.Built | None, beside: Outputs
) -> dict[str, bytes]:
    """Return what devices run, and what they prove it by."""
    files = {found.file: found.int8, GOLDEN_INPUTS: vectors.inputs, GOLDEN_OUTPUTS: vectors.outputs}
    if tpu is not None and tpu.model is not None:
        files[target.MODEL] = tpu.model
    for ready in beside.variants:
        files |= {ready.about.file: ready.model, ready.golden: ready.outputs(found.output)}
    return files


def _words(found: Measured, written: Report, page: bytes) -> dict[str, bytes]:
    """Return what people and consoles read."""
    files = {
        BASELINE: records.to_json(written.baseline),
        REPORT: page,
        REPORT_DATA: written.to_json(),
    }
    if found.labels is not None:
        files[LABELS] = "".join(f"{label}\n" for label in found.labels).encode()
    return files


def _evidence(
    folder: Path, written: Report, files: dict[str, File], *, ordered: Ordered
) -> dict[str, File]:
    """Write what is said about ``files``: a bill of them, then where all of it came from."""
    found = bundle.add(folder, {BOM: bom.make(written, files, made=ordered.started)})
    told = provenance.statement(
        written,
        files | found,
        byproducts=(REPORT, REPORT_DATA),
        targets=ordered.targets,
        started=ordered.started,
        finished=moment.now(),
    )
    return found | bundle.add(folder, {PROVENANCE: told})


def _prove(
    folder: Path, found: Measured, wanted: recipe.Selftest, *, count: int, shop: Workshop
) -> tuple[Selftest, Figures]:
    """Run the golden vectors as a device will; return the self-test, and how it went here."""
    job = litert.Prove(
        model=folder / found.file,
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


def _manifest(
    found: Measured,
    name: Name,
    *,
    files: dict[str, File],
    test: Selftest,
    wanted: Recipe,
    tpu: target.Built | None,
    beside: Outputs,
) -> Manifest:
    inputs, outputs = reporting.borders(found, wanted)
    requires = Requires(
        hardware=HARDWARE,
        runtime=wanted.requires.runtime,
        operators=found.graph.versions,
        memory_bytes=wanted.requires.memory_bytes,
    )
    variants: tuple[Variant, ...] = (
        Variant(id=found.variant, engine="tflite", files=(found.file,), requires=requires),
    )
    if tpu is not None and tpu.model is not None:
        variants = (target.variant(tpu, requires), *variants)
    variants = (*(ready.variant(wanted) for ready in beside.variants), *variants)
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
        provenance=PROVENANCE,
        bom=BOM,
    )

"""The way from a model file to a bundle: what is done in which order, and when it is refused.

The deeds are other modules'; the native ones run in children (littoral_converter.worker).
"""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from littoral.bundle.manifest import check_id
from littoral.errors import MisuseError
from littoral_converter import (
    bundle,
    compressing,
    data,
    declared,
    reading,
    recipe,
    release,
    source,
    verdict,
    worker,
    workshop,
)
from littoral_converter.cache import Cache
from littoral_converter.data import Data
from littoral_converter.edgetpu import target
from littoral_converter.evidence import moment
from littoral_converter.measure import measure
from littoral_converter.recipe import Recipe
from littoral_converter.report import Report
from littoral_converter.reporting import Name, Ordered
from littoral_converter.samples import asked as samples
from littoral_converter.source import Source
from littoral_converter.targets import building
from littoral_converter.workshop import Workshop

TARGETS: Final = ("cpu", "edgetpu", "jetson", "serving", "browser", "mobile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    model: Path
    out: Path
    recipe: Recipe = field(default_factory=Recipe)
    beside: Path = Path()  # where the recipe's paths begin
    calibration: Path | None = None
    evaluation: Path | None = None
    training: Path | None = None  # before the recipe's own
    labels: Path | None = None
    targets: tuple[str, ...] = ("cpu",)
    name: str | None = None
    release: int = 1
    label: str | None = None
    force: bool = False
    cache: Cache | None = None  # of steps that were done before


def convert(order: Order, *, say: worker.Say) -> Report:
    """Write the bundle that ``order`` asks for, or leave everything as it was.

    Raises:
        LittoralError: Which one, and its words, say what to do.

    """
    _check_targets(order)
    ordered = Ordered(targets=order.targets, started=moment.now())
    bundle.check_place(order.out, force=order.force)
    _check_outside(order)
    name, wanted = _name(order), order.recipe
    model = source.detect(order.model)
    _check_data(order)
    compressing.check(model, wanted, training=order.training, beside=order.beside)
    labels = data.read_labels(order.labels) if order.labels else None
    with workshop.place() as folder:
        shop = Workshop(folder=folder, limits=wanted.limits, say=say, cache=order.cache)
        learned, judged = _data(order, shop, model, labels)
        building.check(order.targets, wanted, learned.x.shape[1:])
        labels = labels or (judged or learned).labels
        ready, compression = compressing.compress(
            shop, model, wanted, training=order.training, beside=order.beside, labels=labels
        )
        found = measure(
            shop,
            ready,
            learned,
            judged,
            recipe=compressing.gentle(wanted),
            labels=labels,
            targets=order.targets,
        )
        found = replace(
            found, source=model, compression=compressing.finished(compression, found.int8)
        )
        warnings = tuple(verdict.warnings(found, wanted))
        tpu = None
        if "edgetpu" in order.targets:
            tpu = target.build(shop, found.int8, wanted.edgetpu)
            warnings += tuple(target.warnings(tpu.about))
        outputs = building.build(shop, found, name, wanted=wanted, targets=order.targets)
        with bundle.building(order.out) as place:
            written = release.write(
                place,
                found,
                name,
                shop=shop,
                wanted=wanted,
                warnings=warnings,
                ordered=ordered,
                tpu=tpu,
                outputs=outputs,
            )
            # Minutes later: what came to be there meanwhile is not replaced unasked, either.
            bundle.check_place(order.out, force=order.force)
            return written


def _check_targets(order: Order) -> None:
    kind = order.recipe.quantize.kind
    if "edgetpu" in order.targets and kind != "int8":
        raise MisuseError(
            f'an Edge TPU runs int8 alone; the recipe says [quantize] kind = "{kind}"'
        )
    for name in order.targets:
        if name not in TARGETS:
            raise MisuseError(f"no target {name!r}; there are: {', '.join(TARGETS)}")


def _check_outside(order: Order) -> None:
    """Do nothing if what is written is not part of what is read, here or the next time."""
    out = Path(os.path.realpath(order.out))
    for given in (order.model, order.calibration, order.evaluation, order.training):
        if given is not None and out.is_relative_to(os.path.realpath(given)):
            raise MisuseError(f"{order.out} lies in {given}, which is read; choose another folder")


def _name(order: Order) -> Name:
    made = re.sub(r"[^a-z0-9]+", "-", order.model.stem.lower()).strip("-")[:64]
    model = order.name or order.recipe.model or made
    try:
        check_id("--name", model)
    except ValueError as e:
        raise MisuseError(str(e)) from e
    if order.release < 1:
        raise MisuseError(f"--release: expected at least 1, found {order.release}")
    label = order.label or order.recipe.label or str(order.release)
    return Name(model=model, release=order.release, label=label)


def _check_data(order: Order) -> None:
    if order.calibration is None:
        raise MisuseError(
            f"ranges and the self-test are made of samples: give --calibration DATA, {data.KINDS}, "
            "of 100 or more typical inputs (never those of --evaluation)"
        )
    if order.evaluation is None:
        _check_judged(order.recipe.guard, None)


def _check_judged(guard: recipe.Guard, judged: Data | None) -> None:
    drop = guard.max_accuracy_drop
    if drop is not None and (judged is None or judged.y is None):
        raise MisuseError(
            f"the recipe allows an accuracy drop of {drop:g}, which cannot be measured: give "
            "--evaluation DATA in which the true classes are known"
        )


def _data(
    order: Order, shop: Workshop, model: Source, labels: tuple[str, ...] | None
) -> tuple[Data, Data | None]:
    """Return the samples to calibrate on, and those to evaluate on."""
    wanted = order.recipe
    want = samples.Asked(
        shape=wanted.input.shape or declared.shape(model),
        ends=declared.ends(model),
        preprocessing=wanted.input.preprocessing,
        labels=labels,
        examples=wanted.data,
    )
    few = replace(want, most=wanted.calibration.samples, seed=wanted.calibration.seed)
    learned = reading.samples(shop, Path(order.calibration or ""), few, name="calibration")
    judged = None
    if order.evaluation is not None:
        judged = reading.samples(shop, order.evaluation, want, name="evaluation")
    _check_judged(wanted.guard, judged)
    return learned, judged

"""Writes what a board needs into a bundle, as the budget of its self-test on such boards.

Before the bundle is published: then its manifest is signed, and nobody's to change.
"""

import hashlib
import math
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from littoral import durable
from littoral.bundle import manifest, verified
from littoral.bundle.manifest import Manifest
from littoral.errors import MisuseError
from littoral_serve.bench.result import Result, Selftest
from littoral_serve.bench.target import Target

MARGIN: Final = 4.0  # as a recipe has it
_FLOOR_US: Final = 1000.0  # below, a busy machine's caches decide


def check_target(target: Target, bundle: Path) -> None:
    """Refuse before the measuring a bundle into which nothing of ``target`` could be written.

    Raises:
        MisuseError: It holds another model, or there is no self-test to take a budget from.
        BundleError: It is no bundle.

    """
    told = target.told
    if told is None:
        raise MisuseError(
            f"--write-budget: expected a bundle to measure, found the file {target.name}"
        )
    files = {hashlib.sha256(one.model).hexdigest() for one in target.subjects}
    _check_same(_read(bundle), bundle, model=told.model, release=told.release, files=files)


def check_result(result: Result, bundle: Path) -> tuple[Selftest, Manifest]:
    """Return what ``result`` proved, and the manifest of ``bundle``, which is of the same model.

    Raises:
        MisuseError: The result is not of this bundle, or has no self-test that passed.
        BundleError: It is no bundle.

    """
    found = result.selftest
    if found is None:
        raise MisuseError(
            f"{result.target}: only a bundle, or what was installed of one, has a self-test"
        )
    if found.code is not None and found.code != "latency":
        raise MisuseError(f"its self-test failed there: {found.detail} [{found.code}]")
    told = _read(bundle)
    _check_same(told, bundle, model=found.model, release=found.release, files={found.file})
    return found, told


def write(result: Result, bundle: Path, *, margin: float = MARGIN) -> tuple[str, float]:
    """Put the budget into ``bundle``; return the hardware, and the budget in µs.

    Raises:
        MisuseError, BundleError: As of ``check_result``.
        StorageError: It cannot be written.

    """
    found, told = check_result(result, bundle)
    budget = math.ceil(max(_FLOOR_US, margin * found.p95_cpu_us))
    test = replace(
        told.selftest, p95_cpu_us=told.selftest.p95_cpu_us | {found.hardware: float(budget)}
    )
    path = bundle / manifest.NAME
    durable.replace(path, replace(told, selftest=test).to_json(), mode=0o644)
    return found.hardware, float(budget)


def _read(bundle: Path) -> Manifest:
    return Manifest.from_json(verified.whole(bundle / manifest.NAME, most=manifest.MAX_BYTES))


def _check_same(
    told: Manifest, bundle: Path, *, model: str, release: int, files: Collection[str]
) -> None:
    held = {told.files[variant.files[0]].sha256 for variant in told.variants}
    if model != told.model or held.isdisjoint(files):
        raise MisuseError(
            f"{bundle}: holds {told.model}:{told.release}, and not the measured model, "
            f"{model}:{release}"
        )

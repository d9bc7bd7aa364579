"""Writes what a board needs into a bundle, as the budget of its self-test on such boards.

Before the bundle is published: then its manifest is signed, and nobody's to change.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Final

from littoral import durable
from littoral.bundle import manifest, verified
from littoral.bundle.manifest import Manifest
from littoral.errors import MisuseError
from littoral_serve.bench.result import Result

MARGIN: Final = 4.0  # as a recipe has it
_FLOOR_US: Final = 1000.0  # below, a busy machine's caches decide


def write(result: Result, bundle: Path, *, margin: float = MARGIN) -> tuple[str, float]:
    """Put the budget into ``bundle``; return the hardware, and the budget in µs.

    Raises:
        MisuseError: The result is not of this bundle, or has no self-test that passed.
        BundleError: It is no bundle.
        StorageError: It cannot be written.

    """
    found = result.selftest
    if found is None:
        raise MisuseError(
            f"{result.target}: only a bundle, or what was installed of one, has a self-test"
        )
    if found.code is not None and found.code != "latency":
        raise MisuseError(f"its self-test failed there: {found.detail} [{found.code}]")
    path = bundle / manifest.NAME
    told = Manifest.from_json(verified.whole(path, most=manifest.MAX_BYTES))
    held = {told.files[variant.files[0]].sha256 for variant in told.variants}
    if found.model != told.model or found.file not in held:
        raise MisuseError(
            f"{bundle}: holds {told.model}:{told.release}, and not the model that was measured, "
            f"{found.model}:{found.release}"
        )
    budget = math.ceil(max(_FLOOR_US, margin * found.p95_cpu_us))
    test = replace(
        told.selftest, p95_cpu_us=told.selftest.p95_cpu_us | {found.hardware: float(budget)}
    )
    durable.replace(path, replace(told, selftest=test).to_json(), mode=0o644)
    return found.hardware, float(budget)

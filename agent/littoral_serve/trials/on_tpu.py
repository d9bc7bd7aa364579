"""A candidate for an Edge TPU: it has one for itself, and its twin is proven with it.

The twin answers whenever the TPU is away, so a release whose twin fails is none to activate. How
fast it is, is no reason: it is slower, or nobody would have bought the TPU.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from littoral import machine
from littoral.bundle import verified
from littoral.bundle.manifest import Manifest, Variant
from littoral.errors import LatencyError, MemoryBudgetError, StorageError
from littoral.tree import Tree
from littoral.wire.control import Tried, Try
from littoral_serve.tpu import Tpus

if TYPE_CHECKING:
    from littoral_serve.tpu.orders import Lent

Run = Callable[[Try, "Lent | None"], Awaitable[Tried]]

_EXCUSED: Final = frozenset({LatencyError.code, MemoryBudgetError.code})


async def run(order: Try, *, tree: Tree, tpus: Tpus | None, run_: Run) -> Tried:
    """Try what is ordered by ``run_``; and then its twin, if it has one, within one deadline.

    Raises as ``run_``.
    """
    manifest = verified.read_manifest(tree, order.manifest, model=order.model)
    variant = manifest.variant(order.variant)
    if tpus is None or not tpus.runs(variant):
        return await run_(order, None)
    end_s = time.monotonic() + order.deadline_s
    async with tpus.get(variant).lent() as lent:
        tried = await run_(order, lent)
    twin = _twin(order, manifest, variant)
    left_s = end_s - time.monotonic()
    if tried.code is not None or twin is None or left_s <= 0:
        return tried
    try:
        found = await run_(replace(twin, deadline_s=left_s), None)
    except StorageError:  # a release that came before twins did
        return tried
    if found.code is None or found.code in _EXCUSED:
        return tried
    return replace(tried, code=found.code, detail=f"its twin {twin.variant}: {found.detail}")


def _twin(order: Try, manifest: Manifest, variant: Variant) -> Try | None:
    twin, hardware = manifest.twin_of(variant), machine.cpu()
    if twin is None or hardware is None:
        return None
    return replace(order, variant=twin.id, hardware=hardware)

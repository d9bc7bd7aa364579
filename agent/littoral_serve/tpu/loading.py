"""From a release's files to a lane on TPUs, with its twin beside it: loaded before it is needed."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from littoral import journal_log
from littoral.bundle import verified
from littoral.bundle.manifest import Manifest, Variant
from littoral.bundle.verified import Files
from littoral.errors import LittoralError
from littoral_serve.running.lane import Lane
from littoral_serve.running.live import Description, Live, Resources
from littoral_serve.running.loading import bring, source_of
from littoral_serve.running.memory import Residents
from littoral_serve.running.signatures import batch_size
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.place import OnTpu, TpuPlace
from littoral_serve.tpu.pool import Pool

log = logging.getLogger(__name__)


def load(
    manifest: Manifest,
    variant: Variant,
    files: Files,
    describe: Callable[[Variant], Description],
    *,
    pool: Pool,
    resources: Resources,
) -> Live:
    """Return ``variant``, whose file is verified, and its twin warm. No TPU is asked yet.

    Raises:
        LittoralError: A file is not here, or holds other bytes than were signed.

    """
    description, name = describe(variant), variant.files[0]
    files.read(manifest, name)  # it is again whenever a child loads it
    model = Model(
        f"{description.model} {description.release}",
        open_=partial(files.open, name),
        sha256=manifest.files[name].sha256,
        size=manifest.files[name].size,
        inputs=manifest.inputs,
        outputs=manifest.outputs,
    )
    twin = _twin(manifest, variant, files, describe, resources=resources)
    return _on(pool, model, description, twin, resources)


def load_file(
    path: Path, model: bytes, description: Description, *, pool: Pool, resources: Resources
) -> Live:
    """Return ``model``, the bytes of ``path``, for which nobody vouches. It has no twin."""
    one = Model(
        description.model,
        open_=partial(verified.open_path, path.resolve()),
        sha256=description.manifest,
        size=len(model),
        inputs=description.inputs,
        outputs=description.outputs,
    )
    return _on(pool, one, description, None, resources)


def _on(
    pool: Pool, model: Model, description: Description, twin: Live | None, resources: Resources
) -> Live:
    one = OnTpu(pool, model, None if twin is None else twin.lane.runner)
    size = batch_size(description.inputs, description.outputs)
    lane = Lane(one, model=description.model, size=size, bounds=resources.bounds)
    return Live(description, lane, TpuPlace(pool, model, twin))


def _twin(
    manifest: Manifest,
    variant: Variant,
    files: Files,
    describe: Callable[[Variant], Description],
    *,
    resources: Resources,
) -> Live | None:
    """Return what answers while no TPU does; without it requests wait, or fail."""
    about = journal_log.about(manifest.model, release=manifest.release)
    one = manifest.twin_of(variant)
    if one is None:
        log.warning("%s has no variant for the processor", manifest.model, extra=about)
        return None
    try:
        source = source_of(manifest, one, partial(files.read, manifest))
        # It is small, and the moment in which it is needed is none to load it.
        kept = replace(resources, residents=Residents(budget_bytes=0))
        return bring(source, kept, lambda _: describe(one))
    except LittoralError as e:
        said = "%s has nothing to run on without an Edge TPU: %s: %s"
        log.warning(said, manifest.model, one.id, e, extra=about)
        return None

"""From files to a release that can answer: verified, opened, warmed, with a queue of its own.

Takes its time, and is done in a thread while others are served. What is unloaded for want of
memory comes back by the same way, and its files are verified again.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from littoral import journal_log, machine
from littoral.bundle import verified
from littoral.bundle.manifest import Manifest, Tensor, Variant
from littoral.bundle.verified import Files
from littoral.errors import BackendError, LittoralError
from littoral.model.backends import Session, backend_for, open_variant
from littoral.model.tasks import labels
from littoral.resident import resident_bytes
from littoral.tree import Tree
from littoral_serve.running import threads
from littoral_serve.running.lane import Lane
from littoral_serve.running.live import Description, Live, Resources
from littoral_serve.running.memory import Sleeper
from littoral_serve.running.runners import Runner, runner
from littoral_serve.running.signatures import batch_size

if TYPE_CHECKING:
    from littoral.bundle.baseline import Baseline

_ON_CORES: Final = ("litert", "onnx")  # backends whose threads are the processor's

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model comes from; ``open`` reads it, and opens it with so many threads."""

    open: Callable[[int], Session]
    backend: str
    bytes: int
    inputs: tuple[Tensor, ...] | None = None  # None: as the model says
    budget_us: float | None = None  # what 95 of 100 runs may take


def load(tree: Tree, *, model: str, manifest: str, variant: str, resources: Resources) -> Live:
    """Return a release from ``tree``, verified, loaded and warmed.

    Raises:
        HashError: A file holds other bytes than were signed.
        MalformedError: The manifest is another model's, or has no such variant.
        StorageError: A file is not there.
        BackendError: The runtime refuses the model, or it is not as the manifest says.

    """
    found = verified.read_manifest(tree, manifest, model=model)
    chosen = found.variant(variant)
    files = Files(partial(verified.open_file, tree, found))
    return of_manifest(found, chosen, files, model=model, manifest=manifest, resources=resources)


def of_manifest(
    found: Manifest,
    variant: Variant,
    files: Files,
    *,
    model: str,
    manifest: str,
    resources: Resources,
) -> Live:
    """Return ``variant`` of ``found``, whose digest is ``manifest``. Raises as ``load``."""
    read = partial(files.read, found)

    def describe(one: Variant) -> Description:
        return description_of(found, one, read, model=model, manifest=manifest)

    if resources.elsewhere is not None and resources.elsewhere.runs(variant):
        return resources.elsewhere.load(found, variant, files, describe, resources=resources)
    description = describe(variant)
    return bring(
        source_of(found, variant, read, engines=resources.engines), resources, lambda _: description
    )


def source_of(
    manifest: Manifest,
    variant: Variant,
    read: Callable[[str], bytes],
    *,
    engines: Path | None = None,
) -> Source:
    """Return where ``variant`` comes from; ``read`` returns a file of the release, verified."""
    backend, file = backend_for(variant), manifest.files[variant.files[0]]

    def open_(count: int) -> Session:
        data = read(variant.files[0])

        def at(folder: Path | None) -> Session:
            return open_variant(manifest, variant, data, threads=count, engines=folder)

        session = _with_engine(file.sha256, at, engines) if backend == "tensorrt" else at(None)
        match_specs(session, manifest.inputs, manifest.outputs)
        return session

    return Source(
        open=open_,
        backend=backend,
        bytes=file.size,
        inputs=manifest.inputs,
        budget_us=manifest.selftest.p95_cpu_us.get(machine.cpu() or ""),
    )


def _with_engine(
    model: str, open_: Callable[[Path | None], Session], engines: Path | None
) -> Session:
    """Return what ``open_`` gives with the engine that TensorRT has, or builds, of ``model``."""
    if engines is None:
        return open_(None)
    from littoral_serve.running.engines import Engines

    return Engines(engines).opened(model, open_)


def description_of(
    found: Manifest, variant: Variant, read: Callable[[str], bytes], *, model: str, manifest: str
) -> Description:
    """Return what ``found``, of the digest ``manifest``, says of ``variant``."""
    return Description(
        model=model,
        release=found.release,
        label=found.label,
        manifest=manifest,
        variant=variant.id,
        inputs=found.inputs,
        outputs=found.outputs,
        baseline=_baseline(found, read),
        task=found.task,
        labels=labels.of(found, read),
    )


def _baseline(found: Manifest, read: Callable[[str], bytes]) -> "Baseline | None":
    """Return what drift is measured against; a release serves without it, too."""
    if found.baseline is None:
        return None
    from littoral.bundle.baseline import Baseline  # a model that was named has none

    try:
        return Baseline.from_json(read(found.baseline))
    except LittoralError as e:
        about = journal_log.about(found.model, release=found.release)
        log.warning("%s: no drift is measured: %s", found.model, e, extra=about)
        return None


def bring(source: Source, resources: Resources, describe: Callable[[Session], Description]) -> Live:
    """Return ``source`` open and warm; ``describe`` says what its session is."""
    bounded = resources.residents.bounded
    first, taken = (_weighed if bounded else _opened)(
        source, _threads(source, resources), resources.rest_s
    )
    description = describe(first.session)
    if first.threads > 1:
        about = journal_log.about(description.model, release=description.release)
        log.info("%s runs in %d threads", description.model, first.threads, extra=about)
    one: Runner = runner(first.session, fastest_ns=first.fastest_ns)
    if bounded:
        again = partial(_again, source, first.threads)  # not the session: it would never be freed
        one = Sleeper(
            one, model=description.model, taken=taken, load=again, residents=resources.residents
        )
    size = batch_size(description.inputs, description.outputs)
    return Live(description, Lane(one, model=description.model, size=size, bounds=resources.bounds))


def _again(source: Source, asked: int) -> tuple[Runner, int]:
    found, taken = _weighed(source, asked, 0.0)  # a request waits for it
    return runner(found.session, fastest_ns=found.fastest_ns), taken


def _threads(source: Source, resources: Resources) -> threads.Threads:
    return resources.threads if source.backend in _ON_CORES else 1


def _opened(source: Source, asked: threads.Threads, rest_s: float) -> tuple[threads.Opened, int]:
    """Return it warm, and how many bytes it takes at least."""
    found = threads.opened(
        source.open, source.inputs, threads=asked, budget_us=source.budget_us, rest_s=rest_s
    )
    return found, source.bytes


def _weighed(source: Source, asked: threads.Threads, rest_s: float) -> tuple[threads.Opened, int]:
    """Return it warm, and about how many bytes it took."""
    before = resident_bytes() or 0
    found, least = _opened(source, asked, rest_s)
    return found, max(least, (resident_bytes() or 0) - before)


def match_specs(session: Session, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Do nothing if the model in ``session`` is what its manifest says; names are the manifest's.

    Raises:
        BackendError: It is another.

    """
    for what, found, told in (
        ("input", session.inputs, inputs),
        ("output", session.outputs, outputs),
    ):
        if len(found) != len(told):
            raise BackendError(
                f"the manifest names {len(told)} {what}s, the model has {len(found)}"
            )
        for ours, theirs in zip(found, told, strict=True):
            if not _same(ours, theirs):
                raise BackendError(
                    f"{what} {theirs.name!r}: the manifest says {_words(theirs)}, "
                    f"the model has {_words(ours)}"
                )


def _same(a: Tensor, b: Tensor) -> bool:
    plain = (a.shape, a.dtype, a.zero_point) == (b.shape, b.dtype, b.zero_point)
    return plain and math.isclose(a.scale, b.scale, rel_tol=1e-6)


def _words(spec: Tensor) -> str:
    return f"{spec.dtype} {list(spec.shape)}, scale {spec.scale:g}, zero point {spec.zero_point}"

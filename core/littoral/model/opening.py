"""A model as a person names it: a file, a bundle's folder, or the name of one installed here.

It is opened in this process, for this person; serve has its own ways. A bundle's files are
believed by the manifest's digests, an installed manifest by the journal's.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from littoral import machine, waits
from littoral.bundle import verified
from littoral.bundle.manifest import MAX_BYTES, NAME, Manifest, Task, Tensor, check_id
from littoral.errors import (
    BackendError,
    BackendMissingError,
    MalformedError,
    MisuseError,
    NotDelegatedError,
    NotFoundError,
)
from littoral.model import metadata, tensors
from littoral.model.backends import Array, Session, backend_of, open_session, open_variant
from littoral.model.tasks import labels
from littoral.model.tasks.labels import Labels
from littoral.tree import Tree
from littoral.wire import journal
from littoral.wire.journal import Journal, State

_UNDER_WAY: Final = {State.FETCHING: "is being fetched", State.TESTING: "is on trial"}
Read = Callable[[str], bytes]  # a file of a bundle, by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A model, and what is said of it; of a bare file that is its classes' names at most."""

    session: Session
    model: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    release: int | None = None
    variant: str | None = None
    task: Task | None = None
    labels: Labels = labels.NONE

    def run(self, instances: Sequence[Array]) -> tuple[list[Array], int]:
        """Return the outputs for one instance of each input, as real numbers, and the ns it took.

        An instance in an integer type that the model stores is taken as stored.

        Raises:
            ValueError: An instance is none of its input.
            BackendError: The model fails.

        """
        stored = [_batch(one, spec) for one, spec in zip(instances, self.inputs, strict=True)]
        start = time.perf_counter_ns()
        made = self.session.run(*stored)
        took = time.perf_counter_ns() - start
        seen = (
            tensors.dequantize(value, spec) if tensors.is_quantized(spec) else value
            for value, spec in zip(made, self.outputs, strict=True)
        )
        return [value[0] if value.ndim else value for value in seen], took


def open_model(name: str, *, data: Path, variant: str | None = None, threads: int = 1) -> Opened:
    """Return the model that ``name`` is; ``data`` is the device's folder.

    Raises:
        NotFoundError: There is none.
        MisuseError: ``variant`` is asked of a bare file, or a folder is no bundle.
        StorageError, JournalError: It cannot be read.
        HashError, MalformedError: It is not what its manifest says.
        BackendError: It cannot be run here.

    """
    path = Path(name)
    if name and path.is_dir():
        if not (path / NAME).is_file():
            raise MisuseError(
                f"{path}: expected a bundle, a folder with {NAME}: 'littoral convert' makes one"
            )
        manifest = Manifest.from_json(verified.whole(path / NAME, most=MAX_BYTES))
        return _first(manifest, partial(verified.beside, path, manifest), variant, threads=threads)
    if path.is_file():
        if variant is not None:
            raise MisuseError(f"--variant: is for bundles, and {path} is a model's file")
        return _bare(path, threads=threads)
    return _installed(name, Tree(data), variant, threads=threads)


def _bare(path: Path, *, threads: int) -> Opened:
    model = verified.whole(path, most=verified.MAX_MODEL_BYTES)
    backend = backend_of(path, model)
    try:
        session = open_session(backend, model, threads=threads)
    except BackendMissingError as e:
        if backend != "edgetpu":
            raise
        from littoral.model.backends.edgetpu import needed

        raise BackendMissingError(f"{path}: {needed(e)}") from e
    except BackendError as e:
        raise type(e)(f"{path}: {e}") from e
    return Opened(
        session=session,
        model=path.stem,
        inputs=session.inputs,
        outputs=session.outputs,
        labels=metadata.labels_of(model),
    )


def _installed(name: str, tree: Tree, variant: str | None, *, threads: int) -> Opened:
    try:
        found = tree.journal(check_id("model", name))
    except ValueError:
        found = None
    if found is None or not found.is_file():
        raise NotFoundError(
            f"no model {name!r}: no file, no bundle's folder, and none of that name is installed "
            f"in {tree.root}"
        )
    held = journal.read(found)
    if held.good is None:
        now_ms = time.time_ns() // 1_000_000
        raise NotFoundError(
            f"{name}: no release of it is proven on this device yet{_progress(held, now_ms)}"
        )
    manifest = verified.read_manifest(tree, held.good.manifest, model=name)
    read = partial(verified.read_file, tree, manifest)
    return _first(manifest, read, variant or held.good.variant, threads=threads)


def _progress(held: Journal, now_ms: int) -> str:
    """Return how far the release is that is to be proven, and what to do until it is."""
    if held.candidate is None:
        return ""
    release = f"; release {held.candidate.release}"
    if held.state is not State.PROBATION:
        how = _UNDER_WAY[held.state]
        if held.waits is not None:
            how = waits.words(held.waits.code, held.waits.until_ms, now_ms=now_ms)
        return f"{release} {how}; give its bundle's folder instead"
    until_ms, end = held.probation_until_ms, ""
    if until_ms is not None:
        until = waits.at(until_ms, now_ms)
        end = f" until {until}" if until_ms > now_ms else f", due to end at {until}"
    return (
        f"{release} is in probation{end}; meanwhile serve answers with it ('littoral status' says "
        "where), or give its bundle's folder instead"
    )


def _first(manifest: Manifest, read: Read, variant: str | None, *, threads: int) -> Opened:
    """Return the variant that was asked for, else the publisher's first that runs here."""
    refused: BackendError | None = None
    for one in [manifest.variant(variant)] if variant else manifest.variants_on(machine.cpu()):
        try:
            session = open_variant(manifest, one, read(one.files[0]), threads=threads)
        except (BackendMissingError, NotDelegatedError) as e:
            refused = e
            continue
        return Opened(
            session=session,
            model=manifest.model,
            inputs=manifest.inputs,
            outputs=manifest.outputs,
            release=manifest.release,
            variant=one.id,
            task=manifest.task,
            labels=labels.of(manifest, read),
        )
    raise refused or MalformedError(
        f"{manifest.model}:{manifest.release}: none of its variants is for {machine.cpu()}"
    )


def _batch(instance: Array, spec: Tensor) -> Array:
    """Return a whole batch with ``instance`` first; a model of a fixed batch gets zeros beside."""
    wanted = spec.shape[1:] if spec.shape else ()
    if instance.shape != wanted:
        raise ValueError(f"{spec.name}: expected {list(wanted)}, found {list(instance.shape)}")
    whole = instance.dtype == spec.dtype and instance.dtype.kind in "iub"
    stored = instance if whole else tensors.quantize(instance, spec)
    if not spec.shape:
        return stored
    batch = np.zeros(spec.shape, stored.dtype)
    batch[0] = stored
    return batch

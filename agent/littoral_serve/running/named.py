"""What the command line names to be served: a model's file, or a bundle's folder."""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from littoral import machine
from littoral.bundle import verified
from littoral.bundle.manifest import MAX_BYTES, NAME, Manifest, Tensor, check_id
from littoral.bundle.verified import Files
from littoral.errors import (
    BackendError,
    BackendMissingError,
    CrashError,
    DeadlineError,
    MalformedError,
    MisuseError,
    NotDelegatedError,
    StorageError,
)
from littoral.model import metadata
from littoral.model.backends import Session, backend_of, open_session
from littoral.model.tasks import labels
from littoral.model.tasks.labels import Labels
from littoral_serve.running.live import Description, Live, Resources
from littoral_serve.running.loading import Source, bring, of_manifest

_LABELS: Final = ",labels="
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # TensorFlow Serving's users keep theirs
_NO_ID: Final = re.compile(r"[^a-z0-9-]")

log = logging.getLogger(__name__)


def load_all(texts: Sequence[str], *, resources: Resources, device: bool = False) -> list[Live]:
    """Return what each ``NAME=PATH[,labels=FILE]`` names, loaded; raises as ``load``.

    All are loaded before one begins: an Edge TPU is one process's at a time. ``device``: an agent
    reports what is counted of them to its fleet, which knows models by names of its own kind.
    """
    found: dict[str, Live] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        if not equals or not rest:
            raise MisuseError(f"--model: expected NAME=PATH, found {text!r}")
        if name in found:
            raise MisuseError(f"--model: expected each name once, found {name!r} again")
        _check(name, device=device)
        path, labelled, file = rest.rpartition(_LABELS)
        if labelled and not file:
            raise MisuseError(f"--model: expected labels=FILE, found {text!r}")
        names = Path(file) if labelled else None
        found[name] = load(name, Path(path if labelled else rest), names=names, resources=resources)
    return list(found.values())


def _check(name: str, *, device: bool) -> None:
    if device:
        try:
            check_id("--model", name)
        except ValueError as e:
            nearest = _NO_ID.sub("-", name.lower())[:64]
            like = f", as {nearest!r} is" if nearest else ""
            raise MisuseError(f"{e}: beside --data, a name is of the fleet's kind{like}") from e
    elif not _NAME.fullmatch(name):
        raise MisuseError(
            f"--model: expected a name of 1 to 64 letters, digits, '_' and '-', found {name!r}"
        )


def load(model: str, path: Path, *, resources: Resources, names: Path | None = None) -> Live:
    """Return what ``path`` holds as ``model``: a .tflite or .onnx file, or a bundle's folder.

    ``names`` is a file of a bare model's labels; without it, those count that it brings itself.

    Raises:
        MisuseError: ``path`` is a folder that is no bundle.
        StorageError: It cannot be read.
        HashError, MalformedError: A bundle is not as its manifest says, or not for this machine.
        BackendError: The runtime refuses it.
        CrashError, DeadlineError: An Edge TPU's library does not survive it, or does not end.

    """
    if path.is_dir() and not (path / NAME).is_file():
        raise MisuseError(
            f"{path}: expected a bundle, a folder with {NAME}: 'littoral convert' makes one"
        )
    if path.is_dir() and names is not None:
        raise MisuseError(f"labels={names}: are for a model's file, and {path} is a bundle")
    try:
        if path.is_dir():
            return _bundle(model, path, resources)
        live = _file(model, path, names, resources)
    except (BackendError, CrashError, DeadlineError) as e:
        raise type(e)(f"{path}: {e}") from e
    if names is not None:
        _check_count(live.description)
    return live


def _bundle(model: str, folder: Path, resources: Resources) -> Live:
    """Return the first variant in the publisher's order that this machine can run."""
    data = verified.whole(folder / NAME, most=MAX_BYTES)
    manifest, digest = Manifest.from_json(data), hashlib.sha256(data).hexdigest()
    files = Files(lambda name: verified.open_path(folder / name))
    refused: list[BackendError] = []
    for variant in manifest.variants_on(machine.cpu()):
        try:
            live = of_manifest(
                manifest, variant, files, model=model, manifest=digest, resources=resources
            )
        except (BackendMissingError, NotDelegatedError) as e:
            log.info("%s: not its variant %s: %s", model, variant.id, e)
            refused.append(e)
        else:
            return live
    if refused:
        raise refused[-1]
    raise MalformedError(f"{folder}: no variant of it is for {machine.cpu()}")


def _file(model: str, path: Path, names: Path | None, resources: Resources) -> Live:
    first = verified.whole(path, most=verified.MAX_MODEL_BYTES)
    digest, backend = hashlib.sha256(first).hexdigest(), backend_of(path, first)
    known = _labels(first, names)

    def open_(count: int) -> Session:
        data = verified.whole(path, most=verified.MAX_MODEL_BYTES)
        if hashlib.sha256(data).hexdigest() != digest:
            raise StorageError(f"{path}: it is another file than when it was loaded")
        return open_session(backend, data, threads=count)

    def describe(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Description:
        return Description(
            model=model,
            release=1,
            label="1",
            manifest=digest,
            variant="local",
            inputs=inputs,
            outputs=outputs,
            labels=known,
        )

    if backend == "edgetpu" and resources.elsewhere is not None:
        return resources.elsewhere.load_file(path, first, describe, resources=resources)
    source = Source(open=open_, backend=backend, bytes=len(first))
    return bring(source, resources, lambda session: describe(session.inputs, session.outputs))


def _labels(model: bytes, file: Path | None) -> Labels:
    """Return what classes are called: as ``file`` says, else as the model itself does."""
    return metadata.labels_of(model) if file is None else labels.of_file(file)


def _check_count(told: Description) -> None:
    """Say it where there are more names than classes, or fewer: they are another model's."""
    if len(told.outputs) != 1 or len(told.outputs[0].shape) != 2:  # noqa: PLR2004 (batch, class)
        return
    if doubt := labels.doubt(told.labels, told.outputs[0].shape[1]):
        log.warning("%s: %s", told.model, doubt)

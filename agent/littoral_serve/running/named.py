"""What the command line names to be served: a model's file, or a bundle's folder."""

import hashlib
import logging
from pathlib import Path

from littoral import machine
from littoral.bundle import verified
from littoral.bundle.manifest import MAX_BYTES, NAME, Manifest, check_id
from littoral.bundle.verified import Files
from littoral.errors import (
    BackendError,
    BackendMissingError,
    MalformedError,
    MisuseError,
    NotDelegatedError,
    StorageError,
)
from littoral.model.backends import Session, open_session
from littoral_serve.running.live import Description, Live, Resources
from littoral_serve.running.loading import Source, bring, of_manifest

log = logging.getLogger(__name__)


def load(model: str, path: Path, *, resources: Resources) -> Live:
    """Return what ``path`` holds as ``model``: a .tflite or .onnx file, or a bundle's folder.

    Raises:
        MisuseError: ``model`` is no name, or ``path`` a folder that is no bundle.
        StorageError: It cannot be read.
        HashError, MalformedError: A bundle is not as its manifest says, or not for this machine.
        BackendError: The runtime refuses it.

    """
    try:
        check_id("model", model)
    except ValueError as e:
        raise MisuseError(str(e)) from e
    if path.is_dir() and not (path / NAME).is_file():
        raise MisuseError(
            f"{path}: expected a bundle, a folder with {NAME}: 'littoral convert' makes one"
        )
    try:
        return _bundle(model, path, resources) if path.is_dir() else _file(model, path, resources)
    except BackendError as e:
        raise type(e)(f"{path}: {e}") from e


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


def _file(model: str, path: Path, resources: Resources) -> Live:
    first = verified.whole(path, most=verified.MAX_MODEL_BYTES)
    digest, backend = hashlib.sha256(first).hexdigest(), _backend(path)

    def open_(count: int) -> Session:
        data = verified.whole(path, most=verified.MAX_MODEL_BYTES)
        if hashlib.sha256(data).hexdigest() != digest:
            raise StorageError(f"{path}: it is another file than when it was loaded")
        return open_session(backend, data, threads=count)

    def describe(session: Session) -> Description:
        return Description(
            model=model,
            release=1,
            label="1",
            manifest=digest,
            variant="local",
            inputs=session.inputs,
            outputs=session.outputs,
        )

    return bring(Source(open=open_, backend=backend, bytes=len(first)), resources, describe)


def _backend(path: Path) -> str:
    return "onnx" if path.suffix == ".onnx" else "litert"

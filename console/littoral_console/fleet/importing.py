"""``littoral fleet import``: from a stick, what devices that reach no console have to tell."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from littoral.bundle.manifest import check_id
from littoral.commands.output import JSON, emit
from littoral.errors import (
    BundleError,
    DeniedError,
    EndlessError,
    MalformedError,
    MisuseError,
    TrustError,
)
from littoral.wire.receipt import FOLDER, SignedReceipt
from littoral_console.client import Console
from littoral_console.figures import many
from littoral_console.fleet.asking import console

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SUFFIX: Final = ".json"
_REFUSED: Final = (TrustError, BundleError, DeniedError)


@click.command("import", epilog="Example: littoral fleet import /media/stick")
@click.argument("medium", metavar="DIR", type=click.Path(path_type=Path))
@JSON
def import_(medium: Path, *, as_json: bool) -> int:
    """Bring the console what devices left on the medium DIR, by 'littoral install'.

    It may be brought again: what is known is not counted twice.
    """
    found = console()
    with _opened(medium) as folder:
        devices = sorted(_devices(folder))
        if not devices:
            raise MisuseError(f"{medium / FOLDER}: no receipts; on a device: littoral install")
        taken = [_bring(found, folder, device) for device in devices]
    emit({"receipts": taken}, as_json=as_json, text="\n".join(map(_line, taken)))
    return 1 if any(one["code"] for one in taken) else 0


def _bring(to: Console, folder: int, device: str) -> dict[str, Any]:
    try:
        data = _read(folder, device)
        SignedReceipt.from_json(data)  # what is cut short need not travel
        said = to.post_bytes(f"devices/{device}/receipt", data)
    except _REFUSED as e:
        return {"device": device, "code": e.code, "detail": str(e)}
    return {**said, "code": None, "detail": ""}


def _line(one: dict[str, Any]) -> str:
    if one["code"] is not None:
        return f"{one['device']}: refused: {one['detail']} [{one['code']}]"
    new = f"{many(one['reports'], 'report')}, {one['new']} of them new"
    status = "" if one["newer"] else "; how it is was known already, or later"
    return f"{one['device']}: {new}{status}"


@contextmanager
def _opened(medium: Path) -> Iterator[int]:
    """Open the medium's folder of receipts; a link is none: who filled it may have laid one."""
    try:
        fd = os.open(medium / FOLDER, _FOLDER)
    except OSError as e:
        raise MisuseError(f"{medium / FOLDER}: expected a folder: {e.strerror}") from e
    try:
        yield fd
    finally:
        os.close(fd)


def _devices(folder: int) -> Iterator[str]:
    for name in os.listdir(folder):
        device = name.removesuffix(_SUFFIX)
        try:
            check_id("device", device)
        except ValueError:
            continue
        if name != device:
            yield device


def _read(folder: int, device: str) -> bytes:
    name, most = f"{device}{_SUFFIX}", SignedReceipt.MOST_BYTES
    try:
        fd = os.open(name, _FILE, dir_fd=folder)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise MalformedError(f"{name}: expected a regular file")
            data = file.read(most + 1)
    except OSError as e:
        raise MalformedError(f"{name}: expected a regular file: {e.strerror}") from e
    if len(data) > most:
        raise EndlessError(name, limit=most)
    return data

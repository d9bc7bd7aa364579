"""What publishers and clients of a repository do in one go, in a folder of their own.

A publisher's folder holds ``repo``, ``offline`` and ``online``; a client's, believed metadata.
Each deed can be done again after it was cut short: that is the same command once more.
"""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from faults.crash_marks import mark
from littoral.errors import ForgottenError, MisuseError, RollbackError
from littoral.trust import rotation, writer
from littoral.trust.client import Client
from littoral_converter.encoding import Encoder

FLEET = "shore"


def found(base: Path) -> None:
    """Make keys and a repository."""
    keys = {"offline": base / "offline", "online": base / "online"}
    try:
        writer.init(base / "repo", **keys, fleet=FLEET, now=_now())
    except MisuseError as e:
        if "a repository is there" not in str(e):
            raise
    _renew(base)


def publish(base: Path, bundle: Path) -> None:
    """Publish a release of ``digits``, which is delegated if need be."""
    offline = base / "offline"
    try:
        writer.delegate(base / "repo", "digits", offline=offline, now=_now())
    except MisuseError as e:
        if "delegated already" not in str(e):
            raise
    with contextlib.suppress(RollbackError):  # it is there
        encode = Encoder(say=lambda _: None)
        writer.publish(base / "repo", bundle, offline=offline, encode=encode, now=_now())
    _renew(base)


def rotate(base: Path) -> None:
    """Give the timestamp another key."""
    offline, online = base / "offline", base / "online"
    new = rotation.rotate(base / "repo", "timestamp", offline=offline, online=online, now=_now())
    mark("kept", new.path)
    _renew(base)


def follow(folder: Path, repo: Path) -> None:
    """Believe what is new in ``repo``."""
    client(folder, repo).refresh()


def client(folder: Path, repo: Path) -> Client:
    """Return a client with what is believed in ``folder``."""

    def fetch(name: str, *, limit: int) -> bytes:
        try:
            return (repo / name).read_bytes()[: limit + 1]
        except FileNotFoundError as e:
            raise ForgottenError(name) from e

    return Client(folder, fetch, now=_now())


def _renew(base: Path) -> None:
    writer.renew(base / "repo", online=base / "online", now=_now())


def _now() -> datetime:
    return datetime.now(UTC)

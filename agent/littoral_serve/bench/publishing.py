"""Hands a result to the agent of this device, at its desk: it tells the console."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from littoral import records
from littoral.errors import DeniedError, MalformedError, UnreachableError
from littoral.tree import Tree
from littoral.wire.control import MAX_BYTES, Failure
from littoral.wire.messages import BENCH, Benched
from littoral_serve.bench.result import FIGURES, Result

_ANSWER_S: Final = 10.0


def check(data: Path) -> None:
    """Do nothing if an agent listens at the desk of the device in ``data``.

    Raises:
        UnreachableError: None does, or it is not for this user.

    """
    with _desk(data):
        pass


def publish(result: Result, data: Path) -> None:
    """Tell the agent of the device in ``data`` what was measured.

    Raises:
        UnreachableError: No agent takes it.
        DeniedError: It answers no: the device is nobody's.

    """
    with tempfile.TemporaryFile() as file, _desk(data) as peer:
        file.write(told(result).to_json())
        file.flush()
        socket.send_fds(peer, [BENCH], [file.fileno()])
        answer = _all(peer)
    if answer == b"{}":
        return
    try:
        failure = records.from_json(Failure, answer, limit=MAX_BYTES)
    except records.RecordError as e:
        raise MalformedError(f"the agent answered something else: {e}") from e
    raise DeniedError(f"the agent does not take it: {failure.error} [{failure.code}]")


def told(result: Result) -> Benched:
    """Return ``result`` as the console keeps it."""
    proven, host = result.selftest, result.host
    figures = {f"{name}_us": getattr(result.latency_us, name) for name in FIGURES}
    figures |= {
        "throughput": result.throughput_per_s,
        "load_ms": result.load_ms,
        "first_ms": result.first_ms,
        "throttled": float(result.conditions.throttled),
    }
    if result.rss_bytes is not None:
        figures["rss_bytes"] = float(result.rss_bytes)
    return Benched(
        target=Path(result.target).name or result.target,
        model=None if proven is None else proven.model,
        release=None if proven is None else proven.release,
        variant=result.variant,
        backend=result.backend,
        threads=result.threads,
        scenario=result.scenario,
        board=host.board or host.processor,
        hardware=host.hardware if proven is None else proven.hardware,
        runtime=host.runtime,
        figures=figures,
    )


@contextmanager
def _desk(data: Path) -> Iterator[socket.socket]:
    desk = Tree(data).desk
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(_ANSWER_S)
        try:
            peer.connect(str(desk))
            yield peer
        except OSError as e:
            raise UnreachableError(
                f"{desk}: no agent takes it ({os.strerror(e.errno) if e.errno else e}); run it as "
                "root, where an agent runs"
            ) from e


def _all(peer: socket.socket) -> bytes:
    data = b""
    while len(data) <= MAX_BYTES and (part := peer.recv(4096)):
        data += part
    return data

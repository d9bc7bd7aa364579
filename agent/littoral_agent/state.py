"""What runs on this device, as its status says it and as somebody who looks on finds it."""

import fcntl
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from littoral import records
from littoral.errors import JournalError, LittoralError, StorageError
from littoral.tree import Tree
from littoral.wire import journal as journals
from littoral.wire.board import Board
from littoral.wire.control import Serving
from littoral.wire.journal import Journal
from littoral.wire.messages import Running
from littoral_agent import certificate, identity
from littoral_agent.coming import Progress
from littoral_agent.control import Control
from littoral_agent.identity import Enrolment
from littoral_agent.outline import Outline, outline
from littoral_agent.refusals import Refused, tried
from littoral_agent.telemetry import Speed

_MAX_BYTES: Final = 64 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """To what downloads of files are held; 0 where to nothing."""

    used_bytes: int = 0  # of this month, as far as the disk knows
    month_bytes: int = 0
    rate_bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What an agent that runs says of itself in ``run/agent.json``."""

    pid: int
    channel: str | None = None  # None: not enrolled
    up: bool = False
    since_ms: int = 0  # since when it is so
    code: str | None = None  # why nobody is heard, or no releases are found: of littoral.errors
    words: str = ""  # the same for people, and what to do
    clock: str = "floor-only"  # where its time comes from
    waiting: dict[str, int] = field(default_factory=dict)  # by kind, messages in the spool
    speeds: tuple[Speed, ...] = ()  # of the last window that was told
    board: Board | None = None
    bounds: Bounds = field(default_factory=Bounds)
    refused: dict[str, Refused] = field(default_factory=dict)  # by model, before its first byte
    coming: dict[str, Progress] = field(default_factory=dict)  # by model, of the candidate's files


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that ``littoral status`` tells."""

    enrolment: Enrolment | None
    certificate_until: str | None  # ISO 8601
    agent: Live | None  # None: no agent runs
    serve: Serving | None  # None: serve does not answer
    director: int  # version of the document that is believed
    models: tuple[Running, ...]
    unreadable: tuple[str, ...]  # models whose journal cannot be read
    refused: dict[str, Refused] = field(default_factory=dict)  # by model, what is not run and why


def running(
    held: Iterable[Journal], serving: Serving | None, coming: Mapping[str, Progress]
) -> tuple[Running, ...]:
    """Return what each model is, what of it comes, and what answers requests, as serve says."""
    loaded = {one.model: one for one in serving.models} if serving else {}
    return tuple(
        Running(
            model=one.model,
            state=one.state,
            release=loaded[one.model].release if one.model in loaded else None,
            manifest=loaded[one.model].manifest if one.model in loaded else None,
            variant=loaded[one.model].variant if one.model in loaded else None,
            good=one.good.release if one.good else None,
            candidate=one.candidate.release if one.candidate else None,
            waits=one.waits.code if one.waits else None,
            waits_until_ms=one.waits.until_ms if one.waits else None,
            done_bytes=coming[one.model].done_bytes if one.model in coming else None,
            total_bytes=coming[one.model].total_bytes if one.model in coming else None,
        )
        for one in sorted(held, key=lambda one: one.model)
    )


def look(tree: Tree) -> Found:
    """Find out, from the files and from serve; nothing is changed.

    Raises:
        StorageError: The identity cannot be read.

    """
    read: list[Journal] = []
    unreadable: list[str] = []
    for path in journals.find(tree.journals):
        try:
            read.append(journals.read(path))
        except JournalError:
            unreadable.append(path.stem)
    serving: Serving | None
    try:
        serving = Control(tree.control).state()
    except LittoralError:
        serving = None
    said, agent = _said_by_director(tree), live(tree)
    return Found(
        enrolment=identity.of(tree).read(),
        certificate_until=_until(tree),
        agent=agent,
        serve=serving,
        director=said.version,
        models=running(read, serving, agent.coming if agent else {}),
        unreadable=tuple(unreadable),
        refused=_refused(read, said, agent),
    )


def live_path(tree: Tree) -> Path:
    return tree.sockets / "agent.json"


def lock_path(tree: Tree) -> Path:
    """Return the file that an agent which runs holds locked, and in which its pid stands."""
    return tree.sockets / "agent.lock"


def live(tree: Tree) -> Live | None:
    """Return what the agent that runs says of itself, None when none runs."""
    try:
        fd = os.open(lock_path(tree), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _said(tree, os.read(fd, 32))
    finally:
        os.close(fd)
    return None


def _said(tree: Tree, pid: bytes) -> Live | None:
    """Return what the agent ``pid`` says of itself, as much as it has said yet."""
    if not pid.strip().isdigit():
        return None  # it has just taken the lock
    here = Live(pid=int(pid))
    try:
        said = records.from_json(Live, live_path(tree).read_bytes(), limit=_MAX_BYTES)
    except (OSError, records.RecordError):
        return here
    return said if said.pid == here.pid else here


def _until(tree: Tree) -> str | None:
    try:
        return certificate.read(identity.of(tree).certificate).ends.isoformat()
    except StorageError:
        return None


def _refused(read: Iterable[Journal], said: Outline, agent: Live | None) -> dict[str, Refused]:
    """Return why what the director names is not run: the candidate failed, or was none."""
    found = dict(agent.refused) if agent else {}
    for held in read:
        if (why := tried(held, said)) is not None:
            found[held.model] = why
    return found


def _said_by_director(tree: Tree) -> Outline:
    try:
        return outline(tree.desired.read_bytes())
    except (OSError, records.RecordError):
        return Outline()

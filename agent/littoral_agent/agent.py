"""The agent: its parts, put together, and the loop that keeps them going.

It starts and serves what it has with no network, no console, no broker and no identity: then
it only sees to it that serve runs what the journals say, until somebody enrols the device.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from littoral import durable, notify, records
from littoral.errors import DeniedError, LittoralError, StorageError, WrongBoardError
from littoral.tree import Tree
from littoral_agent import credential, hardware, identity
from littoral_agent.enrolling import Enrolling
from littoral_agent.identity import Enrolment
from littoral_agent.parts import Parts
from littoral_agent.settings import Settings
from littoral_agent.state import Live, live_path, lock_path

TICK_S: Final = 1.0

log = logging.getLogger(__name__)


class Agent:
    """One device's agent. ``run`` returns when it is told to stop."""

    def __init__(
        self, tree: Tree, settings: Settings, *, ready: Callable[[], None] | None = None
    ) -> None:
        self._tree, self._settings, self._ready = tree, settings, ready
        self._stopped = threading.Event()
        self._live: Live | None = None
        self._nobody: LittoralError | None = None  # why who is enrolled here is not this board
        self._fed_s = 0.0
        self._instance = secrets.token_hex(8)  # two that alternate under one name are a clone

    def stop(self, *_: object) -> None:
        """End ``run`` soon. May be a signal's handler."""
        self._stopped.set()

    def run(self) -> None:
        """Do an agent's work until stopped.

        Raises:
            DeniedError: Another agent does it already.
            StorageError: There is no such folder, and none can be made.
            DefectError: A part ended that should not.

        """
        with durable.storage_errors(self._tree.root):
            self._tree.make()
        with alone(self._tree):
            _sweep(self._tree)
            while not self._stopped.is_set():
                self._live_as_enrolled()
            notify.tell("STOPPING=1")

    def _enrolment(self) -> Enrolment | None:
        self._nobody = None
        try:
            who = identity.of(self._tree)
            who.settle()
            found = who.read()
            if found is not None:
                found.check_board(hardware.serial())
        except (StorageError, WrongBoardError) as e:
            log.error("%s [%s]", e, e.code)  # noqa: TRY400 (no traceback: it says it all)
            self._nobody = e
            return None
        if found is None and credential.path() is None:
            log.warning("this device is not enrolled; run 'littoral enroll URL --token T'")
        return found

    def _live_as_enrolled(self) -> None:
        """Run all parts until stopped, or until the device becomes somebody else."""
        stamp = _stamp(self._tree)
        enrolment = self._enrolment()
        file = credential.path() if enrolment is None else None
        enrolling = Enrolling(self._tree, self._settings, file) if file is not None else None
        parts = Parts(self._tree, self._settings, enrolment, instance=self._instance)
        parts.start()
        if enrolling is not None:
            enrolling.start()
        notify.tell("READY=1")
        self._tell_ready()
        try:
            while not self._stopped.wait(TICK_S) and _stamp(self._tree) == stamp:
                parts.tick()
                self._feed(parts)
                self._say(parts, enrolling)
        finally:
            if enrolling is not None:
                enrolling.stop()
            parts.stop()

    def _tell_ready(self) -> None:
        if self._ready is not None:
            self._ready()
            self._ready = None

    def _feed(self, parts: Parts) -> None:
        """Tell the watchdog that this agent is alive, after a tick that found it so."""
        every_s = notify.watchdog_s()
        if every_s is not None and time.monotonic() - self._fed_s >= every_s:
            parts.check()
            notify.tell("WATCHDOG=1")
            self._fed_s = time.monotonic()

    def _say(self, parts: Parts, enrolling: Enrolling | None) -> None:
        channel = parts.channel
        code, words = self._silence(parts, enrolling)
        now = Live(
            pid=os.getpid(),
            channel=channel.name if channel else None,
            up=channel.up if channel else False,
            code=code,
            words=words,
            clock=parts.clock,
            waiting=parts.waiting(),
            speeds=parts.speeds,
            board=parts.board,
            bounds=parts.bounds,
            refused=parts.refused,
            coming=parts.coming,
        )
        before, since_ms = self._live, int(time.time() * 1000)
        if before is not None and (before.channel, before.up) == (now.channel, now.up):
            since_ms = before.since_ms
        now = replace(now, since_ms=since_ms)
        if now == before:
            return
        self._live = now
        try:
            durable.replace(live_path(self._tree), records.to_json(self._live), mode=0o640)
        except StorageError as e:
            log.warning("%s [%s]", e, e.code)

    def _silence(self, parts: Parts, enrolling: Enrolling | None) -> tuple[str | None, str]:
        """Return why it does not speak with its console, or finds no releases: code and words."""
        if enrolling is not None and enrolling.outcome.code is not None:
            return enrolling.outcome.code, enrolling.outcome.words
        if self._nobody is not None:
            return self._nobody.code, str(self._nobody)
        if parts.channel is not None and (denial := parts.channel.denial) is not None:
            return denial.code, str(denial)
        if parts.channel is not None and (trouble := parts.channel.trouble) is not None:
            return trouble.code, str(trouble)
        if (unreached := parts.unreached) is not None:
            return unreached.code, f"no releases now, tried again: {unreached}"
        return None, ""


def main(tree: Tree, settings: Settings, *, ready: Callable[[], None] | None = None) -> int:
    """Run an agent until SIGTERM or SIGINT; ``ready`` is called once, when it is."""
    agent = Agent(tree, settings, ready=ready)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, agent.stop)
    agent.run()
    return 0


def _sweep(tree: Tree) -> None:
    """Remove what kills left beside files that nobody else writes."""
    for folder in (tree.root, tree.journals, tree.manifests, tree.trust, tree.sockets):
        try:
            durable.sweep(folder)
        except StorageError as e:
            log.warning("%s [%s]", e, e.code)


@contextlib.contextmanager
def alone(tree: Tree) -> Iterator[None]:
    """Be the only agent that changes ``tree``: the lock ends with the process."""
    path = lock_path(tree)
    with durable.storage_errors(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(fd):
            raise DeniedError(
                f"{tree.root}: another agent is at work here; stop it, or name another folder"
            )
        with contextlib.suppress(OSError):  # for who looks on: a full disk must not stop us
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    """Take the lock; who only looks on holds it for a moment."""
    for _ in range(10):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return True
    return False


def _stamp(tree: Tree) -> int | None:
    try:
        return identity.of(tree).enrolment.stat().st_mtime_ns
    except OSError:
        return None

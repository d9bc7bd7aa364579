"""The process that is killed: an agent whose updates happen in its only thread.

python -m faults.victim            # forks one victim for each line of JSON on stdin

Everything is the agent's own, wired by its Parts; only the threads that look at serve and speak
with the console do not run, so that the n-th call of a run is the n-th call of the next one.
A victim waits for a byte before it begins: whoever traces it is attached by then.
"""

import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from faults import crash_marks, teeth
from faults.job import DIED, DONE, LATE, Goal, Job
from littoral import records
from littoral.board import kernel
from littoral.tree import Tree
from littoral.wire.journal import State
from littoral_agent import agent, identity, parts
from littoral_agent import settings as configured
from littoral_agent import worker as worker_room
from littoral_agent.hands import Hands, at_once
from littoral_agent.worker import Worker

# What the agent imports when it first needs it, here before the fork: a run is short.
_LAZY: Final = (
    "encodings.idna",
    "littoral.trust.client",
    "littoral.trust.director",
    "littoral.trust.keys",
    "littoral.trust.rules",
    "littoral_agent.decoding",
    "stringprep",
    "urllib3.contrib",
    "urllib3.util.ssl_match_hostname",
)


def main() -> None:
    """Fork a victim for each job; say its pid, then how it ended as waitpid tells it."""
    for name in _LAZY:
        importlib.import_module(name)
    while line := _line():
        job = records.from_json(Job, line, limit=65536)
        pid = os.fork()
        if pid == 0:
            os._exit(_suffer(job))
        _say(f"end {os.waitpid(pid, 0)[1]}")


def _suffer(job: Job) -> int:
    with (Path(job.root).parent / "log").open("ab") as log:
        os.dup2(log.fileno(), 2)
    _say(f"pid {os.getpid()}")  # not before: what opens the log is not to be traced
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    os.read(0, 1)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(LATE))
    signal.setitimer(signal.ITIMER_REAL, job.limit_s)
    try:
        _live(job)
    except BaseException:  # noqa: BLE001 (whatever it is, the harness is told)
        traceback.print_exc()
        return DIED
    return DONE


def _live(job: Job) -> None:
    """Do what an agent does from its start until the goal is reached."""
    if job.broken is not None:
        teeth.BROKEN[job.broken]()
    if job.marks:
        crash_marks.begin(acknowledged=job.acknowledged)
    teeth.break_(parts, "Hands", partial(Hands, start=at_once))
    teeth.break_(kernel, "boot", lambda _: job.boot)
    # No other thread ticks: this one looks after what waits.
    teeth.break_(worker_room, "IDLE_S", 0.05)
    tree = Tree(Path(job.root))
    tree.make()
    with agent.alone(tree):
        agent._sweep(tree)
        who = identity.of(tree)
        who.settle()
        whole = parts.Parts(tree, configured.read(tree), who.read())
        worker = whole._worker
        worker._changed = lambda: _end(worker, _reached(whole, job.goal))
        worker.hear(Path(job.document).read_bytes())
        worker.serve_started()
        worker._run()
        if whole._spool is not None:
            whole._spool.close()


def _end(worker: Worker, reached: Callable[[], bool]) -> None:
    if reached():
        worker._stopping = True
        worker._waiting.set()


def _reached(whole: parts.Parts, goal: Goal) -> Callable[[], bool]:
    def reached() -> bool:
        life = whole._life
        held, ledger = life.journals.get("digits"), life.promises._ledger
        waits = ledger._unwritten or ledger._alone or whole._reports._waiting
        if held is None or waits:
            return False
        found = Goal(
            state=held.state,
            good=held.good.release if held.good else None,
            candidate=held.candidate.release if held.candidate else None,
            bad=next((one.code for one in held.quarantine.values()), None),
        )
        if found != goal:
            return False
        if goal.state is State.PROBATION:
            os._exit(DONE)  # power is lost: nothing is put in order
        judged = whole._wishes is not None and whole._wishes._heard is None
        return life.agenda.idle and judged

    return reached


def _line() -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        data += byte
    return data


def _say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


if __name__ == "__main__":
    main()

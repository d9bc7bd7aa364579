"""Thousands of hostile models, correctly signed, through real trials beside a serve that serves.

A run is one model: its trial; if it passes, its activation, its answers to a client and a probe.
Bad is: serve dead or silent, a wrong answer of the steady model or of one that was activated, a
trial that outlives its deadline, a file or process that stays, and memory that grows.
"""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from faults.hostile_cases import Case, case
from faults.hostile_lane import Lane, lane
from faults.tally import Tally

_LANES = 2
_LOOK_EVERY = 500
_GROWTH_BYTES = 16 * 2**20  # were only the files of what was activated kept: twice as much
_MOST_DEATHS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """How many models, and how their trials are started."""

    runs: int | None = None
    seed: int = 7
    first: int = 0  # the number of the first one
    lanes: int = _LANES
    forked: bool = True  # else serve starts each trial itself, by the command of a trial
    broken: str | None = None  # a rule of faults.hostile_teeth


RUNS = 30_000
_COUNTING = threading.Lock()
_MAKING = threading.Lock()  # how a model is read is watched by a change to its reader


def run(aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each run."""
    tally, done = Tally(), queue.SimpleQueue[Tally | BaseException | None]()
    runners = [_Runner(aim, number, tally, done) for number in range(aim.lanes)]
    threads = [threading.Thread(target=runner.run) for runner in runners]
    for thread in threads:
        thread.start()
    left = len(threads)
    try:
        while left:
            told = done.get()
            if isinstance(told, BaseException):
                raise told
            if told is None:
                left -= 1
            else:
                yield told
        yield tally
    finally:
        for runner, thread in zip(runners, threads, strict=True):
            runner.stopped.set()
            thread.join()


class _Runner:
    """Every n-th model, on a device of its own."""

    def __init__(
        self,
        aim: Aim,
        number: int,
        tally: Tally,
        done: "queue.SimpleQueue[Tally | BaseException | None]",
    ) -> None:
        self._aim, self._tally, self._done = aim, tally, done
        self.stopped = threading.Event()
        runs = RUNS if aim.runs is None else aim.runs
        self._left = iter(range(aim.first + number, aim.first + runs, aim.lanes))
        self._deaths = 0

    def run(self) -> None:
        try:
            while self._deaths < _MOST_DEATHS and self._live():
                self._deaths += 1
            self._done.put(None)
        except BaseException as e:  # noqa: BLE001 (raised where the tally is awaited)
            self._done.put(e)

    def _live(self) -> bool:
        """Go on until serve is dead; return whether it is, and anything is left to do."""
        with lane(keeper=self._aim.forked, broken=self._aim.broken) as one:
            before, count = one.memory_bytes(), 0
            for number in self._left:
                if self.stopped.is_set():
                    return False
                with _MAKING:
                    made = case(self._aim.seed, number)
                wrong = one.suffer(made)
                count += 1
                if count == _LOOK_EVERY:
                    before = one.memory_bytes()  # by now it has met everything once
                if count % _LOOK_EVERY == 0 or wrong:
                    wrong += one.left()
                dead = one.serve.process.poll() is not None
                if dead:
                    wrong.append(f"dead: serve ended with {one.serve.process.returncode}")
                self._blame(one, made, wrong)
                if dead:
                    return True
            self._end(one, grown=one.memory_bytes() - before if count > _LOOK_EVERY else 0)
        return False

    def _end(self, one: Lane, *, grown: int) -> None:
        wrong = [*one.left(), *one.watch.wrong()]
        if grown > _GROWTH_BYTES:
            wrong.append(f"memory: serve has grown by {grown >> 10} KiB")
        with _COUNTING:
            self._tally.found += wrong
            self._tally.bad.update({line.partition(":")[0] for line in wrong})
            self._tally.count["answers of the steady model"] += 3 * one.watch.asked
            self._tally.count["serve's growth in KiB"] += grown >> 10
            slowest = round(one.watch.longest_s * 1000)
            held = self._tally.count["slowest answer in ms"]
            self._tally.count["slowest answer in ms"] = max(held, slowest)

    def _blame(self, one: Lane, made: Case, wrong: list[str]) -> None:
        with _COUNTING:
            told, one.watch.found = one.watch.found, []
            self._tally.blame(made, [*wrong, *told])
            for code, times in one.codes.items():
                self._tally.count[code] += times
            one.codes.clear()
        self._done.put(self._tally)

"""What a long command does at a terminal: it says what it is at, and ends leaving nothing."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

if TYPE_CHECKING:
    from littoral_converter.worker import Progress as Said
    from littoral_converter.worker import Say

Handler = Callable[[int, FrameType | None], Any] | int | None
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the work as Ctrl-C does: with nothing left of it.

    The first word is enough: another one would only disturb the clearing away, and is not heard
    any more while this process lives.
    """

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for end in _ENDS:
            signal.signal(end, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {end: signal.getsignal(end) for end in _ENDS}
    for end, was in before.items():
        if was is not signal.SIG_IGN:  # whoever started us wants us to live on
            signal.signal(end, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        _restore(before)
        raise
    _restore(before)


def _restore(before: Mapping[signal.Signals, Handler]) -> None:
    for end, was in before.items():
        signal.signal(end, was)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let what would end the work wait until the block is done. For the main thread."""
    heard: list[int] = []
    before = {end: signal.getsignal(end) for end in _ENDS}
    for end, was in before.items():
        if was is not signal.SIG_IGN:
            # Not a mask: a process that has other threads would hear it in one of these.
            signal.signal(end, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        _restore(before)
        for number in heard[:1]:
            signal.raise_signal(number)


@contextmanager
def progress(*, shown: bool) -> Iterator["Say"]:
    """Yield what takes words about progress: shown as they come, or one line for each step."""
    if not shown:
        yield _line
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, current = bar.add_task("starting", total=None), ""

        def say(said: "Said") -> None:
            nonlocal task, current
            if said.cost is not None:
                bar.console.print(_ended(said), highlight=False, markup=False)
                return
            stage = f"{said.step}: {said.stage}" if said.step else said.stage
            if stage != current:  # what is left is told by the pace of one stage, not of all
                bar.remove_task(task)
                task, current = bar.add_task(escape(stage), total=said.of or None), stage
            bar.update(task, completed=said.done, total=said.of or None)

        yield say


def _line(said: "Said") -> None:
    if said.cost is not None:
        click.echo(_ended(said), err=True)


def _ended(said: "Said") -> str:
    if said.cost is None:
        return said.step
    seconds = f"{said.cost.seconds:.1f} s"
    return f"{said.step}: {f'from the cache, it took {seconds}' if said.cost.cached else seconds}"

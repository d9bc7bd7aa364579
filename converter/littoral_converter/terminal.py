"""What a long command does at a terminal: a bar while it works, and an end that leaves nothing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from littoral_converter.worker import Progress as Said
    from littoral_converter.worker import Say


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: with nothing left of it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def progress(*, shown: bool) -> Iterator["Say"]:
    """Yield what takes words about progress, and shows them on a terminal."""
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def say(said: "Said") -> None:
            bar.update(task, description=said.stage, completed=said.done, total=said.of or None)

        yield say

"""``littoral bench``: the command line."""

import sys
from pathlib import Path
from typing import Any, Final, get_args

import click

from littoral import durable
from littoral.commands.kinds import Finite
from littoral.commands.output import JSON, emit
from littoral.errors import MisuseError
from littoral.tree import DATA, VARIABLE
from littoral_serve.bench.asked import SAMPLES, Asked
from littoral_serve.bench.result import Result, Scenario

_MiB: Final = 2**20
_QUICK_S: Final = 3.0  # of each setting of a sweep
_PATH: Any = click.Path(path_type=Path)


@click.command(
    epilog="Example: littoral bench digits-1 --sweep --latency-limit 5000 --html digits.html"
)
@click.argument("target")
@click.option(
    "--scenario",
    type=click.Choice(get_args(Scenario)),
    default="single-stream",
    show_default=True,
    help="How queries come, as MLPerf defines it: one by one, eight at a time, all at once, "
    "or at random.",
)
@click.option(
    "--threads",
    metavar="auto|N",
    default="1",
    show_default=True,
    help="Of the runtime; auto: as many as are best here.",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="What runs it, instead of the usual one: litert, edgetpu, onnx, cuda, tensorrt, "
    "reference. Several for --sweep.",
)
@click.option("--variant", metavar="ID", help="Of a bundle, instead of the one for this machine.")
@click.option(
    "--duration",
    type=Finite(),
    metavar="S",
    help="Measured time in seconds.  [10; --sweep: 3 for each]",
)
@click.option(
    "--samples", type=int, default=SAMPLES, show_default=True, help="Of a multi-stream query."
)
@click.option(
    "--rate",
    type=Finite(),
    metavar="R",
    help="Queries a second of the server scenario  [what --latency-limit allows, else 70 % of "
    "what it can answer].",
)
@click.option(
    "--latency-limit",
    "limit_us",
    type=Finite(),
    metavar="US",
    help="In µs: of p95 for --sweep, of p99 for the server scenario.",
)
@click.option(
    "--memory-limit",
    "limit_mib",
    type=Finite(),
    metavar="MIB",
    help="In MiB, of the process that runs it, for --sweep.",
)
@click.option(
    "--sweep",
    is_flag=True,
    help="Measure each variant, backend and number of threads, and recommend one within the "
    "limits.",
)
@click.option(
    "--compare", "other", metavar="OTHER", help="Measure OTHER in alternation with TARGET."
)
@click.option("--no-operators", is_flag=True, help="Leave the operators out.")
@click.option("--html", type=_PATH, metavar="F", help="Write a page with pictures.")
@click.option(
    "--write-budget",
    type=_PATH,
    metavar="BUNDLE",
    help="Put what was measured into BUNDLE's self-test, as this hardware's budget.",
)
@click.option("--publish", is_flag=True, help="Have the agent tell the console, on this device.")
@click.option(
    "--margin",
    type=Finite(min=1),
    default=4.0,
    metavar="FACTOR",
    show_default=True,
    help="For --write-budget: the budget is so many times the p95.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=VARIABLE,
    default=DATA,
    show_default=True,
    help="The device's folder, for an installed model.",
)
@JSON
def bench(  # noqa: PLR0917 (click passes by name)
    target: str,
    scenario: Scenario,
    threads: str,
    backends: tuple[str, ...],
    variant: str | None,
    duration: float | None,
    samples: int,
    rate: float | None,
    limit_us: float | None,
    limit_mib: float | None,
    sweep: bool,
    other: str | None,
    no_operators: bool,
    html: Path | None,
    write_budget: Path | None,
    publish: bool,
    margin: float,
    data: Path,
    as_json: bool,
) -> None:
    """Measure how fast TARGET is on this machine, and what it needs.

    TARGET is a .tflite, an .onnx, a bundle, the name of an installed model, or a result that
    --json printed before.
    """
    from littoral_serve.bench import refusing, running, showing

    refusing.check(Path(target), sweep=sweep, other=other, html=html, write_budget=write_budget)
    if Path(target).suffix == ".json" and Path(target).is_file():
        found = _read(Path(target), write_budget)
    else:
        if publish:
            _check_agent(data)
        asked = Asked(
            scenario=scenario,
            threads=_count(threads),
            duration_s=(_QUICK_S if sweep else 10.0) if duration is None else duration,
            samples=samples,
            rate=rate,
            limit_us=limit_us,
            limit_bytes=None if limit_mib is None else round(limit_mib * _MiB),
            operators=not no_operators,
        )
        where = running.Where(data=data, backends=backends, variant=variant)
        progress = _say if sys.stderr.isatty() and not as_json else _mute
        found = running.run(
            target, asked, where, sweep=sweep, other=other, write_budget=write_budget, say=progress
        )
    # Before anything is done with it: what took its time is not lost because a disk is full.
    emit(found, as_json=as_json, text="" if as_json else showing.show(found))
    say = _mute if as_json else click.echo
    if html is not None:
        say(_page(found, html))
    if write_budget is not None:
        say(_budget(found, write_budget, margin))
    if publish:
        say(_publish(found, data))


def _check_agent(data: Path) -> None:
    """Refuse before the measuring what could not be published after it."""
    from littoral_serve.bench import publishing

    publishing.check(data)


def _read(result: Path, write_budget: Path | None) -> Result:
    """Return what was measured before, if its budget may be written where that is asked for."""
    from littoral_serve.bench import budgets, reading

    found = reading.read(result)
    if write_budget is not None:
        budgets.check_result(found, write_budget)
    return found


def _count(words: str) -> int | None:
    if words == "auto":
        return None
    if not words.isdecimal():
        raise MisuseError(f"--threads: expected auto or a number, found {words!r}")
    return int(words)


def _page(found: Result, html: Path) -> str:
    from littoral_serve.bench import page

    durable.replace(html, page.render(found).encode(), mode=0o644)
    return f"page: {html}"


def _budget(found: Result, bundle: Path, margin: float) -> str:
    from littoral_serve.bench import budgets

    hardware, us = budgets.write(found, bundle, margin=margin)
    return f"{bundle}: on {hardware} its self-test may take {us:.0f} µs of CPU time (p95)"


def _publish(found: Result, data: Path) -> str:
    from littoral_serve.bench import publishing

    publishing.publish(found, data)
    return "published: the agent tells the console"


def _say(words: str) -> None:
    click.echo(f"{words} …", err=True)


def _mute(_: str) -> None:
    pass

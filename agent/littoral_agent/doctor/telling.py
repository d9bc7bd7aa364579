"""How findings are told: to people in groups, what is well in a line each; to programs as JSON."""

import itertools
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from littoral import __version__
from littoral_agent.doctor.examining import Asked
from littoral_agent.doctor.finding import State

_MARKS: Final = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skip": "-"}
_COLOURS: Final = {"ok": "32", "warn": "33", "fail": "1;31", "skip": "2"}
_NAME: Final = 13  # the longest name of a check or group, and two spaces
_LEAST_WIDTH: Final = 60


def told(asked: Sequence[Asked], data: Path) -> dict[str, object]:
    """Return what programs get."""
    counts = Counter(one.finding.state for one in asked)
    return {
        "ok": counts["fail"] == 0,
        "data": data,
        "version": __version__,
        "counts": {state: counts[state] for state in ("ok", "warn", "fail", "skip")},
        "findings": [
            {
                "check": one.check.name,
                "group": one.check.group,
                "state": one.finding.state,
                "found": one.finding.found,
                "wrong": one.finding.wrong,
                "do": one.finding.do,
                "took_ms": round(one.took_s * 1000),
            }
            for one in asked
        ],
    }


def words(asked: Sequence[Asked], *, every: bool, colours: bool) -> str:
    """Return what people get; ``every``: also each thing that is well, and what was found."""
    lines: list[str] = []
    for group, members in itertools.groupby(asked, key=lambda one: one.check.group):
        held = list(members)
        lines += _group(group, held, every=every, colours=colours)
    return "\n".join([*lines, "", _sum(asked, every=every)])


def _group(name: str, held: list[Asked], *, every: bool, colours: bool) -> Iterator[str]:
    if every:
        yield name
        for one in held:
            yield from _lines(one, colours=colours)
        return
    well = [one.check.name for one in held if one.finding.state == "ok"]
    rest = [one.check.name for one in held if one.finding.state == "skip" and not _hidden(one)]
    hidden = [one.check.name for one in held if _hidden(one)]
    told = [f"{_mark('ok', colours=colours)} {', '.join(well)}"] if well else []
    told += [f"nothing to look at: {', '.join(rest)}"] if rest else []
    told += [f"for root alone: {', '.join(hidden)}"] if hidden else []
    yield f"{name:{_NAME}} {'; '.join(told)}".rstrip()
    for one in held:
        if one.finding.state in ("warn", "fail"):
            yield from _lines(one, colours=colours)


def _lines(one: Asked, *, colours: bool) -> Iterator[str]:
    finding = one.finding
    mark = _mark(finding.state, colours=colours) + " " * (4 - len(_MARKS[finding.state]))
    indent = " " * (_NAME + 7)
    width = max(_LEAST_WIDTH, shutil.get_terminal_size((100, 24)).columns) - len(indent)
    wrap = textwrap.TextWrapper(width, break_on_hyphens=False, break_long_words=False).wrap
    first, *more = wrap(finding.found) or [""]
    yield f"  {mark} {one.check.name:{_NAME - 1}} {first}".rstrip()
    for line in (*more, *wrap(finding.wrong)):
        yield f"{indent}{line}"
    for line in finding.do.splitlines():  # as it is: somebody copies it
        yield f"{indent}> {line}"


def _mark(state: str, *, colours: bool) -> str:
    return f"\x1b[{_COLOURS[state]}m{_MARKS[state]}\x1b[0m" if colours else _MARKS[state]


def _hidden(one: Asked) -> bool:
    """Whether it was skipped for want of rights, and a command says how to have them."""
    return one.finding.state == "skip" and bool(one.finding.do)


def _sum(asked: Sequence[Asked], *, every: bool) -> str:
    hidden = [one.finding.do for one in asked if _hidden(one)]
    counts = Counter(one.finding.state for one in asked if not _hidden(one))
    named: dict[State, str] = {
        "fail": "failed",
        "warn": "to look at",
        "ok": "well",
        "skip": "nothing to look at",
    }
    told = ", ".join(f"{counts[state]} {words}" for state, words in named.items() if counts[state])
    if hidden:
        told = "; ".join([*([told] if told else []), f"{len(hidden)} more with: {hidden[0]}"])
    return f"{len(asked)} checks: {told}" + ("" if every else "; --all shows each")

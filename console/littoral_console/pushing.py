"""Asks for a release and watches what becomes of it, device by device."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from littoral import records
from littoral.errors import LittoralError, RefusedError, UnfinishedError
from littoral_console.client import Console, by_code
from littoral_console.figures import many
from littoral_console.phases import phase

POLL_S: Final = 0.5
_BAD: Final = ("refused", "failed")
_SHOWN: Final = 5  # devices that an error names


def push(
    console: Console, order: Mapping[str, Any], *, wait_s: float | None, as_json: bool
) -> None:
    """Push, print the rollout as it is in the end.

    Raises:
        LittoralError: A device refused or failed; its code is the device's reason.
        UnfinishedError: It goes on on some of them after ``wait_s``.

    """
    detail = console.post("rollouts", order)
    number = detail["rollout"]["id"]
    until = time.monotonic() + (wait_s or 0)
    seen: dict[str, str] = {}
    _progress(detail, seen, quiet=as_json or wait_s is None)
    while wait_s is not None and _pending(detail) and time.monotonic() < until:
        time.sleep(POLL_S)
        detail = console.get(f"rollouts/{number}")
        _progress(detail, seen, quiet=as_json)
    if as_json:
        click.echo(records.to_json(detail).decode())
    elif wait_s is None:
        click.echo(f"rollout {number}: {many(len(detail['devices']), 'device')}")
    name = f"{order['model']}:{order['release']}"
    bad = [d for d in detail["devices"] if d["outcome"] in _BAD]
    if bad:
        raise _refused(name, bad, of=len(detail["devices"]))
    if wait_s is not None and _pending(detail):
        raise _unfinished(name, detail, after_s=wait_s)


def _pending(detail: Mapping[str, Any]) -> list[Any]:
    return [d for d in detail["devices"] if d["outcome"] == "pending"]


def _progress(detail: Mapping[str, Any], seen: dict[str, str], *, quiet: bool) -> None:
    for d in detail["devices"]:
        now = words(d)
        if seen.get(d["device"]) != now and not quiet:
            click.echo(f"{d['device']}: {now}")
        seen[d["device"]] = now


def _unfinished(name: str, detail: Mapping[str, Any], *, after_s: float) -> UnfinishedError:
    left, number = _pending(detail), detail["rollout"]["id"]
    shown = [f"{d['device']} {words(d)}" for d in left[:_SHOWN]]
    more = [f"{len(left) - _SHOWN} more"] if len(left) > _SHOWN else []
    return UnfinishedError(
        f"{name}: after {after_s:g} s, {_of(len(left), len(detail['devices']))} not done yet: "
        f"{', '.join(shown + more)}; see: littoral fleet rollouts {number}"
    )


def words(d: Mapping[str, Any]) -> str:
    """Return how a device of a rollout fares."""
    now_ms = round(time.time() * 1000)
    found = phase(d["outcome"], d["state"], d["until_ms"], waits=d["waits"], now_ms=now_ms)
    return found + (f" [{d['code']}]" if d["code"] else "")


def _refused(name: str, bad: Sequence[Mapping[str, Any]], *, of: int) -> LittoralError:
    codes = {d["code"] or RefusedError.code for d in bad}
    why = "; ".join(f"{d['device']} [{d['code']}]: {d['detail']}" for d in bad[:3])
    words = f"{name}: {_of(len(bad), of)} did not take it: {why}"
    return by_code(codes.pop(), words) if len(codes) == 1 else RefusedError(words)


def _of(part: int, whole: int) -> str:
    return f"{part} of {many(whole, 'device')}"

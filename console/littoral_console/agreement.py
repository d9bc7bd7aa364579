"""Whether a device does what is wanted: each model's order beside what the device reports. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from littoral_console.outcomes import ASKED, FELL_BACK
from littoral_console.queries import Device, Running, Wanted

Tone = Literal["good", "busy", "bad", "calm"]


@dataclass(frozen=True, slots=True)
class Verdict:
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One model on a device: two sides that may differ, and what to make of it."""

    model: str
    wanted: Wanted | None
    runs: int | None  # the release that answers requests
    variant: str | None
    good: int | None
    candidate: int | None
    state: str | None
    waits: str | None  # a code
    waits_until_ms: int | None
    done_bytes: int | None  # of the candidate's files
    total_bytes: int | None
    verdict: Verdict
    since_ms: int | None  # since when it is so, None: as long as it is known


_AS_WANTED: Final = Verdict("as wanted", "good")


def agreements(device: Device) -> tuple[Agreement, ...]:
    """Return every model that is wanted of the device or reported by it, by name."""
    wanted = {found.model: found for found in device.wanted}
    reported = {found.model: found for found in device.models}
    told = device.issued is None or device.director >= device.issued
    return tuple(
        _agreement(model, wanted.get(model), reported.get(model), told=told)
        for model in sorted(wanted.keys() | reported.keys())
    )


def _agreement(
    model: str, wanted: Wanted | None, reported: Running | None, *, told: bool
) -> Agreement:
    return Agreement(
        model=model,
        wanted=wanted,
        runs=reported.release if reported else None,
        variant=reported.variant if reported else None,
        good=reported.good if reported else None,
        candidate=reported.candidate if reported else None,
        state=reported.state if reported else None,
        waits=reported.waits if reported else None,
        waits_until_ms=reported.waits_until_ms if reported else None,
        done_bytes=reported.done_bytes if reported else None,
        total_bytes=reported.total_bytes if reported else None,
        verdict=_verdict(wanted, reported, told=told),
        since_ms=_since_ms(wanted, reported),
    )


def _verdict(wanted: Wanted | None, reported: Running | None, *, told: bool) -> Verdict:
    runs = reported.release if reported else None
    if wanted is None:
        return Verdict("runs unasked", "calm") if runs else Verdict("nothing wanted", "calm")
    if wanted.step == FELL_BACK:
        return Verdict(f"fell back from r{wanted.release} to {_named(runs)}", "bad")
    if wanted.outcome in {"refused", "failed"}:
        kept = f"keeps r{runs}" if runs else "runs nothing"
        return Verdict(f"{wanted.outcome} r{wanted.release}, {kept}", "bad")
    if wanted.outcome == "pending":
        unheard = not told and wanted.step == ASKED
        how = "asked for, not heard yet" if unheard else "under way"
        return Verdict(f"r{wanted.release} {how}", "busy")
    if runs != wanted.release:
        return Verdict(f"runs r{runs}, not r{wanted.release}" if runs else "runs nothing", "bad")
    return _AS_WANTED


def _since_ms(wanted: Wanted | None, reported: Running | None) -> int | None:
    if wanted is not None and wanted.outcome != "healthy":
        return wanted.since_ms
    return reported.since_ms if reported else None


def _named(release: int | None) -> str:
    return f"r{release}" if release else "nothing"

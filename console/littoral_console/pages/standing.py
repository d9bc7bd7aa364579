"""How a device stands: what is wanted of each model beside what the device reports. Pure."""

from dataclasses import dataclass
from typing import Final

from littoral_console.pages.reasons import Word
from littoral_console.queries import Device, Running, Wanted

_AS_WANTED: Final = Word("as wanted", "good")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One model on a device: two sides that may differ, and what to make of it."""

    model: str
    wanted: Wanted | None
    runs: int | None  # the release that answers requests
    variant: str | None
    good: int | None
    candidate: int | None
    state: str | None
    verdict: Word


def standing(device: Device) -> tuple[Standing, ...]:
    """Return every model that is wanted of the device or reported by it, by name."""
    wanted = {found.model: found for found in device.wanted}
    reported = {found.model: found for found in device.models}
    return tuple(
        _standing(model, wanted.get(model), reported.get(model))
        for model in sorted(wanted.keys() | reported.keys())
    )


def _standing(model: str, wanted: Wanted | None, reported: Running | None) -> Standing:
    return Standing(
        model=model,
        wanted=wanted,
        runs=reported.release if reported else None,
        variant=reported.variant if reported else None,
        good=reported.good if reported else None,
        candidate=reported.candidate if reported else None,
        state=reported.state if reported else None,
        verdict=_verdict(wanted, reported),
    )


def _verdict(wanted: Wanted | None, reported: Running | None) -> Word:
    runs = reported.release if reported else None
    if wanted is None:
        return Word("runs unasked", "calm") if runs else Word("nothing wanted", "calm")
    if wanted.outcome in {"refused", "failed"}:
        kept = f"keeps r{runs}" if runs else "runs nothing"
        return Word(f"{wanted.outcome} r{wanted.release}, {kept}", "bad")
    if wanted.outcome == "pending":
        return Word(f"r{wanted.release} under way", "busy")
    if runs != wanted.release:
        return Word(f"runs r{runs}, not r{wanted.release}" if runs else "runs nothing", "bad")
    return _AS_WANTED

"""TRY: serve runs the candidate's self-test in a child. Halted, it ends the child."""

from dataclasses import replace

from littoral.board import power
from littoral.errors import (
    BackendMissingError,
    BundleError,
    DeniedError,
    DiskFullError,
    PostponedError,
    TrustError,
    UnfitError,
)
from littoral.wire.control import Try
from littoral.wire.journal import Choice, Journal
from littoral_agent import holdings
from littoral_agent.control import Control, OrderDeniedError, ServeDownError
from littoral_agent.deeds import fetching
from littoral_agent.deeds.means import (
    Means,
    candidate,
    check_window,
    denied,
    died,
    loaded,
    postponed,
)
from littoral_agent.halting import Halt
from littoral_agent.preflight import check_serve
from littoral_agent.probation import excused, measured_p95_us, pause_s, verdict
from littoral_agent.settings import Settings
from littoral_agent.update import Event, Outcome


def do(means: Means, journal: Journal, halt: Halt) -> Outcome:
    try:
        if journal.good is not None:
            check_window(means)  # also hours after the last try, or a reboot
    except PostponedError as e:
        return postponed(e, now=means.gates.now())
    found = _tried(means, journal, halt)
    if found.event is Event.STUMBLED:
        return replace(found, after_s=pause_s(means.settings, journal.tries + 1))
    return found


def _tried(means: Means, journal: Journal, halt: Halt) -> Outcome:
    choice, control = candidate(journal), means.control.under(halt)
    order = Try(
        model=journal.model,
        manifest=choice.manifest,
        variant=choice.variant,
        hardware=choice.hardware,
        deadline_s=deadline_s(means.settings, choice.hardware),
    )
    before, cool = loaded(control.state(), journal.model), power.look(means.root)
    try:
        _check_serve(means, choice, control)
    except (UnfitError, BackendMissingError) as e:
        return Outcome(event=Event.REFUSED, code=e.code, detail=str(e))
    try:
        tried = fetching.mending(
            means, journal.model, choice, halt, order=lambda: control.try_(order)
        )
    except ServeDownError:
        return died("during the self-test")
    except OrderDeniedError as e:
        return denied(e)
    except (TrustError, BundleError, DeniedError, DiskFullError) as e:
        return Outcome(event=Event.REFUSED, code=e.code, detail=str(e))
    slowed = power.look(means.root, cool)
    found = excused(verdict(tried), throttled=cool.throttled or slowed.throttled)
    if found.event is not Event.PASSED or before is None:
        return found
    return replace(found, before_p95_us=measured_p95_us(before, means.settings))


def deadline_s(settings: Settings, hardware: str) -> float:
    """Return how long a trial on ``hardware`` may take: TensorRT compiles a model for minutes."""
    more_s = settings.engine_deadline_s if hardware == "tensorrt" else 0.0
    return settings.trial_deadline_s + more_s


def _check_serve(means: Means, choice: Choice, control: Control) -> None:
    """Ask serve what it may not have been there to say when ``choice`` was made.

    Raises as littoral_agent.preflight.check_serve.
    """
    if holdings.manifest_bytes(means.tree, choice.manifest) is None:
        return  # lost, and brought again below
    variants = holdings.manifest(means.tree, choice.manifest).variants
    for variant in variants:
        if variant.id == choice.variant:
            check_serve(variant, ask=control.runtime)

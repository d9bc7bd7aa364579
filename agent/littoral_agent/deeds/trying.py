"""TRY: serve runs the candidate's self-test in a child. Halted, it ends the child."""

from dataclasses import replace

from littoral.errors import BundleError, DeniedError, DiskFullError, PostponedError, TrustError
from littoral.wire.control import Try
from littoral.wire.journal import Journal
from littoral_agent.control import OrderDeniedError, ServeDownError
from littoral_agent.deeds import fetching
from littoral_agent.deeds.means import Means, candidate, denied, died, loaded, postponed
from littoral_agent.halting import Halt
from littoral_agent.probation import measured_p95_us, verdict
from littoral_agent.update import Event, Outcome


def do(means: Means, journal: Journal, halt: Halt) -> Outcome:
    try:
        if journal.good is not None:
            means.gates.check_window()  # also hours after the last try, or a reboot
    except PostponedError as e:
        return postponed(e, now=means.gates.now())
    choice, control = candidate(journal), means.control.under(halt)
    order = Try(
        model=journal.model,
        manifest=choice.manifest,
        variant=choice.variant,
        hardware=choice.hardware,
        deadline_s=means.settings.trial_deadline_s,
    )
    before = loaded(control.state(), journal.model)
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
    found = verdict(tried)
    if found.event is not Event.PASSED or before is None:
        return found
    return replace(found, before_p95_us=measured_p95_us(before, means.settings))

"""RUN and STOP: serve is brought in line with what the journal says runs."""

import logging

from littoral.journal_log import about
from littoral.wire.control import Activate
from littoral.wire.journal import Journal
from littoral_agent.control import OrderDeniedError, ServeDownError
from littoral_agent.deeds import fetching
from littoral_agent.deeds.means import Means, denied, died, loaded
from littoral_agent.halting import Halt
from littoral_agent.update import Outcome

log = logging.getLogger(__name__)


def do(means: Means, journal: Journal, halt: Halt) -> Outcome | None:
    """Let serve run what the journal says runs. It is done to its end: half is no state.

    Where it says that nothing does, what serves stops if the model shall not run, or if it is
    quarantined; else it stays, for the journal may be younger than it.
    """
    serves = loaded(means.control.state(), journal.model)
    wanted = journal.running
    if wanted is None:
        if serves and (journal.stopped or serves.manifest in journal.quarantine):
            means.control.deactivate(journal.model)
        return None
    if serves and (serves.manifest, serves.variant) == (wanted.manifest, wanted.variant):
        return None
    order = Activate(model=journal.model, manifest=wanted.manifest, variant=wanted.variant)
    try:
        done = fetching.mending(
            means, journal.model, wanted, halt, order=lambda: means.control.activate(order)
        )
    except (ServeDownError, OrderDeniedError) as e:
        if wanted is not journal.candidate:
            raise
        return denied(e) if isinstance(e, OrderDeniedError) else died("while it loaded")
    log.info(
        "%s: release %s serves, loaded in %.0f ms",
        *(order.model, done.release, done.load_ms),
        extra=about(order.model, release=done.release),
    )
    return None


def stop(means: Means, journal: Journal) -> None:
    """Let nothing serve under the model's name."""
    if loaded(means.control.state(), journal.model) is not None:
        means.control.deactivate(journal.model)

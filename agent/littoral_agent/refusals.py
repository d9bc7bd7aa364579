"""What is told of what the director wants and this device does not do: each once."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from littoral.errors import JournalError, LittoralError
from littoral.journal_log import about
from littoral.trust.beliefs import Assignment
from littoral.wire.journal import Journal, Quarantine
from littoral.wire.update import Update
from littoral_agent.outline import Outline
from littoral_agent.reports import Reports
from littoral_agent.saying import MOST_DETAIL, condemned
from littoral_agent.update import Event

_ENDS: Final = {Event.REFUSED, Event.FAILED}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a release is not run here."""

    version: int  # of the document that named it
    release: int
    code: str
    detail: str


class Refusals:
    """Told to ``reports``; ``version`` is that of the document that is believed.

    One thread at a time, but for ``document``.
    """

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self.known: dict[str, Refused] = {}  # by model: what was told last

    def document(self, error: LittoralError, *, version: int) -> None:
        """Tell that a document is not believed, or came in a way that nobody can take."""
        log.warning("the director's document is refused: %s [%s]", error, error.code)
        once = f"director/{version}/{error.code}"
        self._reports.tell("director", str(error)[:MOST_DETAIL], code=error.code, once=once)

    def lost(self, error: Exception) -> None:
        """Tell that the document which was believed cannot be read."""
        log.warning("the director's document cannot be read: %s", error)
        detail = f"the director's document could not be read ({error}); waiting for another"
        self._reports.tell("journal", detail[:MOST_DETAIL], code=JournalError.code)

    def release(
        self, one: Assignment, held: Journal | None, error: LittoralError, *, version: int
    ) -> None:
        """Tell that a release may not be run here."""
        once = f"refused/{version}/{one.model}/{one.attempt}/{error.code}"
        self.known[one.model] = Refused(
            version=version, release=one.release, code=error.code, detail=str(error)
        )
        self._tell(one, held, code=error.code, detail=str(error), once=once)

    def condemned(self, one: Assignment, held: Journal, bad: Quarantine, *, version: int) -> None:
        """Tell that a release failed here before."""
        detail = (
            f"release {one.release} failed here under attempt {bad.attempt}; "
            "it is tried again under a greater one"
        )
        once = condemned(version, one.model, one.manifest_sha256, one.attempt)
        self.known[one.model] = Refused(
            version=version, release=one.release, code=bad.code, detail=detail
        )
        self._tell(one, held, code=bad.code, detail=detail, once=once)

    def _tell(
        self, one: Assignment, held: Journal | None, *, code: str, detail: str, once: str
    ) -> None:
        log.warning(
            "%s: release %d is refused: %s [%s]",
            *(one.model, one.release, detail, code),
            extra=about(one.model, release=one.release, code=code),
        )
        held = held or Journal(model=one.model)
        update = Update(
            model=one.model,
            event=Event.REFUSED,
            state=held.state,
            release=one.release,
            manifest=one.manifest_sha256,
            good=held.good.release if held.good else None,
            running=held.running.release if held.running else None,
            code=code,
            detail=detail[:MOST_DETAIL],
        )
        self._reports.tell("update", "", update=update, once=once)


def tried(held: Journal, said: Outline) -> Refused | None:
    """Return why what is ``said`` of the model of ``held`` was given up, if it was."""
    last = held.said.update if held.said else None
    if held.candidate is not None or last is None or last.event not in _ENDS:
        return None
    if last.release is None or last.manifest not in said.manifests:
        return None
    code = last.code or last.event
    return Refused(version=said.version, release=last.release, code=code, detail=last.detail)


def still_refused(
    known: Mapping[str, Refused], journals: Mapping[str, Journal], *, version: int
) -> dict[str, Refused]:
    """Return of ``known`` what document ``version`` names, and was not taken on since."""
    taken = {
        model: chosen.release
        for model, held in journals.items()
        if (chosen := held.candidate or held.good) is not None
    }
    return {
        model: why
        for model, why in known.items()
        if why.version == version and taken.get(model) != why.release
    }

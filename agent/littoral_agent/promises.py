"""What was promised of each model, and the report of each step: one write, then the spool.

A report is in the journal before anybody hears it, and in the spool before the journal lets go of
it: a power cut between the two neither loses nor doubles it.
"""

import logging
from dataclasses import replace
from typing import Final

from littoral.errors import JournalError, StorageError
from littoral.journal_log import about
from littoral.wire.journal import MOST_UNTOLD, Journal, Said
from littoral_agent import saying
from littoral_agent.ledger import Ledger
from littoral_agent.reports import Reports
from littoral_agent.settings import Settings
from littoral_agent.update import Outcome, Step

REMEMBER_S: Final = 30.0  # how much of a probation a power cut may cost

log = logging.getLogger(__name__)


class Promises:
    """One thread at a time may promise."""

    def __init__(self, ledger: Ledger, reports: Reports, settings: Settings) -> None:
        self._ledger, self._reports, self._settings = ledger, reports, settings
        self._unwritten_s: dict[str, float] = {}
        self.version = 0  # of the director's document that is acted on

    @property
    def journals(self) -> dict[str, Journal]:
        """Return what is promised of each model."""
        return self._ledger.journals

    def read(self) -> dict[str, JournalError]:
        """Read what was promised before; return the journals that cannot be read, by model.

        They are set aside; of their models is remembered what was proven last.
        """
        unreadable = self._ledger.read()
        for model, e in unreadable.items():
            self._reports.tell("journal", f"{model}: {e}"[: saying.MOST_DETAIL], code=e.code)
        for held in self.journals.values():
            for said in (*held.untold, held.said):
                if said is not None:
                    self._reports.step(said)
        return unreadable

    def promise(self, before: Journal, taken: Step, outcome: Outcome) -> None:
        """Promise what a step leads to, with its report in it, and tell it.

        Raises:
            StorageError: The disk does not keep it, and it is no going back.

        """
        said = saying.said(
            before,
            taken,
            outcome,
            version=self.version,
            time_ms=self._reports.now_ms(),
            probation_s=self._settings.probation_s,
        )
        after = replace(taken.journal, said=said, untold=self._untold(before))
        self._ledger.promise(after.model, before, after)
        saying.write_down(log, after, taken.event, outcome)
        self._reports.step(said)

    def watched(self, model: str, seconds: float) -> None:
        """Count so much of probation; a power cut may cost some of it."""
        held = self.journals[model]
        self.journals[model] = replace(held, watched_s=held.watched_s + seconds)
        self._unwritten_s[model] = self._unwritten_s.get(model, 0.0) + seconds
        if self._unwritten_s[model] >= REMEMBER_S:
            self._unwritten_s[model] = 0.0
            self._write(self.journals[model], "a power cut costs more of its probation")

    def rest(self) -> None:
        """Remember that the agent stops, and that power is not what ends it."""
        for held in list(self.journals.values()):
            if held.boot is not None:
                self._write(replace(held, boot=None), "this stop will be taken for a power cut")

    def catch_up(self) -> None:
        """Give the disk again what it did not take before."""
        self._reports.flush()
        for model in list(self.journals):
            self._ledger.catch_up(model)

    def _write(self, held: Journal, otherwise: str) -> None:
        """Write what is no step: it may be done without."""
        try:
            self._ledger.write(held.model, held)
        except StorageError as e:
            log.warning("%s: %s: %s", held.model, otherwise, e, extra=about(held.model))

    def _untold(self, before: Journal) -> tuple[Said, ...]:
        """Return the reports of earlier steps that the disk did not take yet, into the spool."""
        told = [*before.untold, *([before.said] if before.said else [])]
        return tuple(one for one in told if self._reports.waits(one.id))[-MOST_UNTOLD:]

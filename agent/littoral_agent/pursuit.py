"""From what the director names, and what of it may be run, to the events of each model's life."""

from collections.abc import Mapping

from littoral.errors import LittoralError, UnreachableError
from littoral.trust.beliefs import Assignment, Desired
from littoral.wire.journal import Choice, Journal, State
from littoral_agent.life import Life
from littoral_agent.outline import is_named
from littoral_agent.refusals import Refusals
from littoral_agent.update import Event, Outcome, follows


class Pursuit:
    """One thread at a time."""

    def __init__(self, life: Life, refusals: Refusals) -> None:
        self._life, self._refusals = life, refusals
        self._found: dict[Assignment, Choice | LittoralError] = {}

    def learn(self, found: dict[Assignment, Choice | LittoralError]) -> None:
        """Remember, until it is followed, what may be run of what was looked up, or why not."""
        self._found = found

    def give_up(self, desired: Desired) -> None:
        """End what is under way and not ``desired``. Raises StorageError."""
        named = {one.model: one for one in desired.assignments}
        for model, held in list(self._life.journals.items()):
            one = named.get(model)
            if held.candidate is not None and not (one and is_named(held.candidate, one)):
                self._life.take(model, Outcome(event=Event.DROPPED, detail=_left(held)))

    def follow(self, desired: Desired) -> list[Assignment]:
        """Do what is ``desired``, as far as it is known; return what has to be looked up.

        Raises:
            UnreachableError: Nobody could be asked about some of it.
            StorageError: The disk refuses.

        """
        self.give_up(desired)
        named = {one.model: one for one in desired.assignments}
        for model in [*self._life.journals]:
            if model not in named:
                self.take(model, None)
        open_ = [one for one in named.values() if not self._settle(one, version=desired.version)]
        found = {one: self._found[one] for one in open_ if one in self._found}
        self._found = {}
        self._act(found, version=desired.version)
        return [one for one in open_ if one not in found]

    def take(self, model: str, choice: Choice | None) -> None:
        """Let ``choice`` be what is wanted of ``model``. Raises StorageError."""
        held = self._life.journals.get(model) or Journal(model=model)
        event = follows(held, choice)
        if event is not None:
            self._life.take(model, Outcome(event=event, choice=choice))

    def _settle(self, one: Assignment, *, version: int) -> bool:
        """Settle ``one`` if nothing needs to be looked up for that; return whether it is."""
        held = self._life.journals.get(one.model)
        if held is None:
            return False
        if is_named(held.candidate or held.good, one):
            return True
        bad = held.quarantine.get(one.manifest_sha256)
        if bad is None or one.attempt > bad.attempt:
            return False
        self._refusals.condemned(one, held, bad, version=version)
        return True

    def _act(self, found: Mapping[Assignment, Choice | LittoralError], *, version: int) -> None:
        outage: UnreachableError | None = None
        for one, chosen in found.items():
            match chosen:
                case Choice():
                    self.take(one.model, chosen)
                case UnreachableError():
                    outage = chosen
                case _:
                    held = self._life.journals.get(one.model)
                    self._refusals.release(one, held, chosen, version=version)
        if outage is not None:
            raise outage


def _left(held: Journal) -> str:
    """Say what runs when the candidate of ``held`` is given up, if anything changes."""
    if held.candidate is None or held.state is not State.PROBATION:
        return ""
    was = f"release {held.candidate.release} was on probation"
    if held.good is None:
        return f"{was}, and none before it is proven here: nothing runs"
    return f"{was}; release {held.good.release}, which is proven, runs again"

"""WATCH: one look at the candidate on probation, and a probe where it has too few requests."""

from dataclasses import dataclass

from littoral.wire.control import Loaded, Tried
from littoral.wire.journal import Journal
from littoral_agent.agenda import AstrayError
from littoral_agent.control import Control, OrderDeniedError
from littoral_agent.deeds.means import Means, candidate, denied, died, loaded
from littoral_agent.halting import Halt
from littoral_agent.probation import Seen, judge, p95_us
from littoral_agent.update import Outcome


@dataclass(slots=True)
class _Watch:
    """What is remembered of a candidate between two looks, and may be forgotten."""

    manifest: str
    instance: str  # of serve: another one means that it died
    looked_s: float
    passed_s: float = 0.0  # since it was asked for
    probe: Tried | None = None
    probed_late: bool = False


class Watching:
    """Looks at candidates. One thread at a time for each model."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._watches: dict[str, _Watch] = {}

    def do(self, journal: Journal, halt: Halt) -> Outcome | None:
        """Return what is known of the candidate.

        Raises:
            AstrayError: It is not what serves.

        """
        choice, control = candidate(journal), self._means.control.under(halt)
        state, now = control.state(), self._means.clock()
        watch = self._watches.get(journal.model)
        if watch is None or watch.manifest != choice.manifest:
            watch = self._watches[journal.model] = _Watch(choice.manifest, state.instance, now)
        if watch.instance != state.instance:
            return died("while the candidate served")
        serves = loaded(state, journal.model)
        if serves is None or serves.manifest != choice.manifest:
            raise AstrayError(f"serve does not run release {choice.release}")
        watch.passed_s += now - watch.looked_s
        watch.looked_s = now
        try:
            return self._judge(journal, serves, watch, control)
        except OrderDeniedError as e:
            return denied(e)

    def passed_s(self, model: str) -> float:
        """Return for how long the candidate has served since this was asked last."""
        watch = self._watches.get(model)
        if watch is None:
            return 0.0
        passed_s, watch.passed_s = watch.passed_s, 0.0
        return passed_s

    def forget(self, model: str) -> None:
        self._watches.pop(model, None)

    def _judge(
        self, journal: Journal, serves: Loaded, watch: _Watch, control: Control
    ) -> Outcome | None:
        settings, watched_s = self._means.settings, journal.watched_s + watch.passed_s
        over = watched_s >= settings.probation_s
        idle = serves.requests < settings.probation_requests
        if watch.probe is None or (over and idle and not watch.probed_late):
            watch.probe = control.probe(serves.model, settings.trial_deadline_s)
            watch.probed_late = over
        seen = Seen(
            watched_s=watched_s,
            requests=serves.requests,
            errors=serves.errors,
            p95_us=p95_us(serves),
            before_p95_us=journal.before_p95_us,
            probe=watch.probe,
        )
        return judge(seen, settings)

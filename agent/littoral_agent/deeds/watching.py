"""WATCH: one look at the candidate on probation, and a probe where it has too few requests."""

from dataclasses import dataclass, field
from typing import Self

from littoral.board import power
from littoral.wire.control import Loaded, Tried
from littoral.wire.journal import Journal
from littoral_agent.agenda import AstrayError
from littoral_agent.control import Control, OrderDeniedError
from littoral_agent.deeds.means import Means, candidate, denied, died, loaded
from littoral_agent.halting import Halt
from littoral_agent.probation import Seen, excused, judge, p95_us, pause_s
from littoral_agent.update import Outcome


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What is remembered of a candidate between two looks, and may be forgotten."""

    manifest: str
    instance: str  # of serve: another one means that it died
    begun_s: float
    looked_s: float
    passed_s: float = 0.0  # since it was asked for
    before: Loaded | None = None  # what it did until it was cut short, which does not count
    board: power.Seen = field(default_factory=power.Seen)
    throttled: bool = False
    probe: Tried | None = None
    probed_late: bool = False

    @classmethod
    def begin(cls, journal: Journal, serves: Loaded | None, *, instance: str, now_s: float) -> Self:
        return cls(
            manifest=candidate(journal).manifest,
            instance=instance,
            begun_s=now_s,
            looked_s=now_s,
            before=serves if journal.tries else None,
        )


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
        state, now_s = control.state(), self._means.clock()
        serves = loaded(state, journal.model)
        ours = serves if serves and serves.manifest == choice.manifest else None
        watch = self._watches.get(journal.model)
        if watch is None or watch.manifest != choice.manifest:
            watch = _Watch.begin(journal, ours, instance=state.instance, now_s=now_s)
            self._watches[journal.model] = watch
        if watch.instance != state.instance:
            return died("while the candidate served")
        if ours is None:
            raise AstrayError(f"serve does not run release {choice.release}")
        watch.passed_s += now_s - watch.looked_s
        watch.looked_s = now_s
        watch.board = power.look(self._means.root, watch.board)
        watch.throttled = watch.throttled or watch.board.throttled
        try:
            found = self._judge(journal, ours, watch, control)
        except OrderDeniedError as e:
            return denied(e)
        return found and excused(found, throttled=watch.throttled)

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
        requests = serves.requests - (watch.before.requests if watch.before else 0)
        over = watched_s >= settings.probation_s
        idle = requests < settings.probation_requests
        if watch.probe is None or (over and idle and not watch.probed_late):
            watch.probe = control.probe(serves.model, settings.trial_deadline_s)
            watch.probed_late = over
        seen = Seen(
            watched_s=watched_s,
            requests=requests,
            errors=serves.errors - (watch.before.errors if watch.before else 0),
            p95_us=p95_us(serves, since=watch.before),
            before_p95_us=journal.before_p95_us,
            probe=watch.probe,
            rested=watch.looked_s - watch.begun_s >= pause_s(settings, journal.tries),
        )
        return judge(seen, settings)

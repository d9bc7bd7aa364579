"""One call of bench as a whole: what it measures, in which order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from littoral.errors import BackendError
from littoral_serve.bench import budgets, comparing, measuring, sweeping, target
from littoral_serve.bench.asked import Asked, threads
from littoral_serve.bench.process import Subject
from littoral_serve.bench.result import Result

_QUICK_S: Final = 1.0  # for each number of threads, where the best is looked for
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where targets are found, and what of them is meant."""

    data: Path
    backends: tuple[str, ...] = ()
    variant: str | None = None

    def find(self, name: str) -> target.Target:
        return target.find(name, data=self.data, backends=self.backends, variant=self.variant)


def run(
    name: str,
    asked: Asked,
    where: Where,
    *,
    sweep: bool,
    other: str | None,
    write_budget: Path | None,
    say: Say,
) -> Result:
    """Return all that was asked of the target ``name``.

    Nothing is measured where its budget could not be written into ``write_budget``.

    Raises:
        MisuseError: It cannot be asked so.
        LittoralError: Nothing of it runs here.

    """
    found = where.find(name)
    if write_budget is not None:
        budgets.check_target(found, write_budget)
    second = None if other is None else where.find(other)
    if sweep:
        return _swept(found.subjects, asked, name=found.name, say=say)
    count = asked.threads
    if count is None:
        count = _threads(found.subjects[0], asked, name=found.name, say=say)
    say(f"measuring {found.name} for {asked.duration_s:g} s")
    result, subject = measuring.measure(found.subjects, asked, threads=count, name=found.name)
    if second is None or other is None:
        return result
    say(f"measuring it beside {other} for {asked.duration_s:g} s")
    alike = (one for one in second.subjects if one.backend == subject.backend)
    b = next(alike, second.subjects[0])
    seconds = asked.duration_s
    try:
        versus = comparing.compare(subject, b, threads=count, duration_s=seconds, other=other)
    except BackendError as e:  # the first one has just run
        raise type(e)(f"{other}: {e}") from e
    return replace(result, compared=versus)


def _swept(subjects: Sequence[Subject], asked: Asked, *, name: str, say: Say) -> Result:
    """Return the recommended setting's result, or where none is, the first that ran."""
    counts = threads() if asked.threads in {None, 1} else (asked.threads or 1,)
    settings, results = sweeping.sweep(subjects, asked, threads=counts, name=name, say=say)
    if not results:
        raise BackendError(
            "no setting runs here: " + "; ".join(one.error or "" for one in settings)
        )
    place = next((k for k, one in enumerate(settings) if one.recommended), min(results))
    result, subject = results[place]
    chosen = settings[place] if settings[place].recommended else None
    return replace(
        measuring.finished(result, subject, asked),
        settings=settings,
        recommended=chosen,
    )


def _threads(subject: Subject, asked: Asked, *, name: str, say: Say) -> int:
    quick = replace(asked, duration_s=_QUICK_S, scenario="single-stream", rate=None)
    settings, _ = sweeping.sweep([subject], quick, threads=threads(), name=name, say=say)
    best = next((one for one in settings if one.recommended), None)
    if best is None:
        if all(one.error for one in settings):
            raise BackendError(settings[0].error or "")
        best = max(settings, key=lambda one: one.throughput_per_s or 0)
    return best.threads

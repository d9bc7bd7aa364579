"""Measures a model in all settings, and recommends one. ``recommend`` is the rule, and pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from littoral.errors import LittoralError
from littoral_serve.bench import measuring
from littoral_serve.bench.asked import Asked
from littoral_serve.bench.process import Subject
from littoral_serve.bench.result import Result, Setting

_AS_GOOD: Final = 0.9  # of the highest throughput
_MIB: Final = 2**20
Say = Callable[[str], None]


def sweep(
    subjects: Sequence[Subject],
    asked: Asked,
    *,
    threads: Sequence[int],
    name: str,
    say: Say = lambda _: None,
) -> tuple[tuple[Setting, ...], dict[int, tuple[Result, Subject]]]:
    """Return each setting, and by its place the result of what ran."""
    found: list[Setting] = []
    results: dict[int, tuple[Result, Subject]] = {}
    for subject in subjects:
        for count in threads if _counts(subject.backend) else (1,):
            say(f"{subject.variant or subject.backend}, {_threads(count)}")
            place = len(found)
            setting = Setting(backend=subject.backend, threads=count, variant=subject.variant)
            try:
                result = measuring.measured(subject, asked, threads=count, name=name)
            except LittoralError as e:
                found.append(replace(setting, error=f"{e} [{e.code}]"))
                continue
            results[place] = result, subject
            found.append(_filled(setting, result, asked))
    return recommend(found), results


def recommend(settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """Return ``settings`` with one marked: of those that fit, the fastest or as good for less."""
    fitting = [one for one in settings if one.fits and one.throughput_per_s is not None]
    if not fitting:
        return tuple(settings)
    best = max(one.throughput_per_s or 0 for one in fitting)
    good = [one for one in fitting if (one.throughput_per_s or 0) >= _AS_GOOD * best]
    chosen = min(good, key=lambda one: (one.threads, one.rss_bytes or 0))
    return tuple(replace(one, recommended=one is chosen) for one in settings)


def fits(p95_us: float, rss_bytes: int | None, asked: Asked) -> bool:
    """Tell whether it lies within the limits; memory that nobody can tell lies within none."""
    fast = asked.limit_us is None or p95_us <= asked.limit_us
    small = asked.limit_bytes is None or (rss_bytes is not None and rss_bytes <= asked.limit_bytes)
    return fast and small


def _filled(setting: Setting, result: Result, asked: Asked) -> Setting:
    return replace(
        setting,
        p50=result.latency_us.p50,
        p95=result.latency_us.p95,
        p99=result.latency_us.p99,
        throughput_per_s=result.throughput_per_s,
        rss_bytes=result.rss_bytes,
        load_ms=result.load_ms,
        fits=fits(result.latency_us.p95, result.rss_bytes, asked),
    )


def _counts(backend: str) -> bool:
    """Whether the number of threads means anything to ``backend``."""
    return backend in {"litert", "onnx"}


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"

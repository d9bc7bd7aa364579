"""What Prometheus reads: counters, gauges, and a histogram of each stage, as text.

The histograms are our sketches with fewer buckets. Every bound is one of the sketch's own, so
no value is counted where it is not; nothing is interpolated.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit
from typing import Final

from littoral import __version__
from littoral.wire.sketch import SCALE, Sketch
from littoral.wire.stages import STAGES
from littoral_serve.http.bodies import Bodies
from littoral_serve.running.live import Live

KIND: Final = b"text/plain; version=0.0.4; charset=utf-8"
_STEP: Final = 2 ** (SCALE - 1)  # of the sketch's buckets become one: two to a doubling
_BOUNDS: Final = range(4, 53)  # in steps: from 4 µs to a minute
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

_Sample = tuple[str, str, float]  # what follows the family's name, labels, value


def text(lives: Iterable[Live], bodies: Bodies) -> bytes:
    """Return all families of metrics, of the releases that answer and of this process."""
    return "".join(_families(list(lives), bodies)).encode()


def _families(lives: list[Live], bodies: Bodies) -> Iterator[str]:
    names = [
        _labels(model=live.model, release=live.release, variant=live.variant) for live in lives
    ]
    version = _labels(version=__version__)
    yield _family("littoral_info", "gauge", "The version of littoral.", [("", version, 1)])
    yield _family("littoral_models", "gauge", "Models that answer.", [("", "", len(lives))])
    yield _family("littoral_release_info", "gauge", "Releases that answer.", _infos(names, lives))
    for name, kind, told, value in _OF_EACH:
        samples = [("", labels, value(live)) for labels, live in zip(names, lives, strict=True)]
        yield _family(name, kind, told, samples)
    yield _family(
        "littoral_requests_refused_total",
        "counter",
        "Requests that were not run: too many waited, or they waited too long.",
        _refused(names, lives),
    )
    yield _family(
        "littoral_stage_seconds",
        "histogram",
        "How long each stage of a request took.",
        _stages(names, lives),
    )
    yield _family(
        "littoral_bodies_refused_total",
        "counter",
        "Bodies that there was no room for: all together held as much as they may.",
        [("", "", bodies.refused)],
    )
    yield from _process()


_OF_EACH: Final[tuple[tuple[str, str, str, Callable[[Live], float]], ...]] = (
    (
        "littoral_release_start_time_seconds",
        "gauge",
        "When the release began to answer, since 1970.",
        lambda live: live.since_ms / 1e3,
    ),
    (
        "littoral_release_loaded",
        "gauge",
        "Whether the release is in memory: if not, a request brings it there.",
        lambda live: int(live.sleeper is None or live.sleeper.awake),
    ),
    (
        "littoral_requests_total",
        "counter",
        "Requests that reached the model.",
        lambda live: live.meter.requests,
    ),
    (
        "littoral_request_errors_total",
        "counter",
        "Requests in which the model failed.",
        lambda live: live.meter.errors,
    ),
    (
        "littoral_instances_total",
        "counter",
        "Instances that were answered.",
        lambda live: live.meter.instances,
    ),
    (
        "littoral_queue_requests",
        "gauge",
        "Requests that wait before the model.",
        lambda live: live.lane.waiting,
    ),
)


def _infos(names: list[str], lives: list[Live]) -> Iterator[_Sample]:
    for labels, live in zip(names, lives, strict=True):
        yield "", f"{labels},{_labels(label=live.label, manifest=live.manifest)}", 1


def _refused(names: list[str], lives: list[Live]) -> Iterator[_Sample]:
    for labels, live in zip(names, lives, strict=True):
        yield "", f"{labels},{_labels(reason='overloaded')}", live.lane.overloaded
        yield "", f"{labels},{_labels(reason='late')}", live.lane.late


def _stages(names: list[str], lives: list[Live]) -> Iterator[_Sample]:
    for labels, live in zip(names, lives, strict=True):
        for stage, sketch in zip(STAGES, live.meter.totals(), strict=True):
            yield from histogram(sketch, f"{labels},{_labels(stage=stage)}")


def histogram(sketch: Sketch, labels: str) -> Iterator[_Sample]:
    """Return ``sketch``, which counts µs, as the samples of a histogram in seconds."""
    counts = [0] * (len(_BOUNDS) + 1)
    counts[0] = sketch.zeros
    for bucket, n in sketch.bins():
        # Bucket i ends where i + 1 begins: it lies below the first bound that is not less.
        at = -(-(bucket + 1) // _STEP) - _BOUNDS.start
        counts[min(max(at, 0), len(_BOUNDS))] += n
    *below, total = accumulate(counts)
    for bound, n in zip(_BOUNDS, below, strict=True):
        yield "_bucket", f'{labels},le="{2 ** (bound / 2) / 1e6:.9g}"', n
    yield "_bucket", f'{labels},le="+Inf"', total
    yield "_sum", labels, sketch.sum / 1e6
    yield "_count", labels, total


def _process() -> Iterator[str]:
    """Return what Prometheus's own libraries tell of a process, by their names."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    lines = Path("/proc/stat").read_text().splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    spent = int(stat[11]) + int(stat[12])
    files = len(list(Path("/proc/self/fd").iterdir())) - 1  # one is the folder's own
    for name, kind, told, value in (
        ("cpu_seconds_total", "counter", "Processor time", spent / _TICKS),
        ("open_fds", "gauge", "Open file descriptors", files),
        ("max_fds", "gauge", "Most file descriptors", getrlimit(RLIMIT_NOFILE)[0]),
        ("virtual_memory_bytes", "gauge", "Address space", int(stat[20])),
        ("resident_memory_bytes", "gauge", "Memory", int(stat[21]) * _PAGE),
        ("start_time_seconds", "gauge", "Begin, since 1970,", booted + int(stat[19]) / _TICKS),
    ):
        yield _family(f"process_{name}", kind, f"{told} of this process.", [("", "", value)])


def _family(name: str, kind: str, help_text: str, samples: Iterable[_Sample]) -> str:
    lines = [f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"]
    for suffix, labels, value in samples:
        lines.append(f"{name}{suffix}{{{labels}}} {value}\n" if labels else f"{name} {value}\n")
    return "".join(lines)


def _labels(**values: object) -> str:
    return ",".join(f'{name}="{str(value).translate(_ESCAPED)}"' for name, value in values.items())

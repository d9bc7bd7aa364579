"""Measures one model in one setting: the order of things, and what they come to."""

import base64
import hashlib
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import numpy as np

from littoral.bundle.manifest import Manifest
from littoral.errors import BackendMissingError, LittoralError
from littoral.wire.sketch import Sketch
from littoral_serve.bench import conditions, host, percentiles, searching
from littoral_serve.bench.asked import SEED, Asked
from littoral_serve.bench.orders import Loaded, Order, Warmed
from littoral_serve.bench.process import Process, Subject, started
from littoral_serve.bench.result import (
    Latency,
    Operator,
    Result,
    Scenario,
    Searched,
    Selftest,
    Slice,
)
from littoral_serve.bench.scenarios import Times
from littoral_serve.bench.warming import LEAST_S, MOST_S

_SLICES: Final = 120
_OPERATOR_S: Final = 0.03
_UNASKED_LOAD: Final = 0.7  # of what it could answer


def measure(
    subjects: Sequence[Subject], asked: Asked, *, threads: int, name: str
) -> tuple[Result, Subject]:
    """Return what the first of ``subjects`` that this machine can run comes to.

    Raises:
        LittoralError: None can, or the one that can fails.

    """
    for subject in subjects[:-1]:
        with suppress(BackendMissingError):
            result = measured(subject, asked, threads=threads, name=name)
            return finished(result, subject, asked), subject
    result = measured(subjects[-1], asked, threads=threads, name=name)
    return finished(result, subjects[-1], asked), subjects[-1]


def finished(result: Result, subject: Subject, asked: Asked) -> Result:
    """Return ``result`` with what further processes find out: operators, the self-test."""
    operators: tuple[Operator, ...] = ()
    covered, note = None, "not asked for"
    if asked.operators:
        operators, note = _operators(subject, result.threads)
    if operators:
        covered = round(sum(one.us for one in operators) / result.warm_up.p50, 4)
    return replace(
        result,
        operators=operators,
        operators_covered=covered,
        operators_note=note,
        selftest=_prove(subject),
    )


def prepared(process: Process, *, duration_s: float) -> tuple[Loaded, Warmed]:
    """Load and warm the model of ``process``, which is to be measured for ``duration_s``."""
    most_s = min(MOST_S, max(LEAST_S, duration_s))
    loaded = process.ask(Order(do="load")).loaded
    warmed = process.ask(Order(do="warm", seconds=most_s)).warmed
    assert loaded is not None  # noqa: S101 (so it answers)
    assert warmed is not None  # noqa: S101
    return loaded, warmed


def measured(subject: Subject, asked: Asked, *, threads: int, name: str) -> Result:
    with started(subject, threads=threads) as process:
        loaded, warmed = prepared(process, duration_s=asked.duration_s)
        order, found = _order(process, asked, loaded=loaded, warmed=warmed)
        with conditions.watched() as watch:
            times = process.measure(order)
    latency = percentiles.latency(times.latency)
    samples = _samples(asked, loaded.batch)
    rate = samples * len(times.latency) / (times.elapsed_ns / 1e9)
    metric, value, unit = _metric(asked.scenario, latency, rate, order)
    board = watch.told()
    if board.power_w is not None:
        board = replace(board, energy_mj=round(board.power_w.mean / rate * 1e3, 6))
    return Result(
        target=name,
        time_ms=time.time_ns() // 1_000_000,
        variant=subject.variant,
        backend=subject.backend,
        threads=threads,
        scenario=asked.scenario,
        count=len(times.latency),
        samples_per_query=asked.samples if asked.scenario == "multi-stream" else 1,
        batch=loaded.batch,
        duration_s=round(times.elapsed_ns / 1e9, 3),
        latency_us=latency,
        throughput_per_s=round(rate, 3),
        metric=metric,
        metric_value=round(value, 3),
        metric_unit=unit,
        asked_per_s=order.per_s or None,
        limit_us=asked.limit_us,
        limit_bytes=asked.limit_bytes,
        searched=found,
        runtime_ms=round(loaded.runtime_ms, 3),
        load_ms=round(loaded.load_ms, 3),
        first_ms=round(loaded.first_ms, 3),
        warm_up=warmed.warm_up,
        rss_bytes=warmed.memory.steady,
        memory=warmed.memory,
        inputs=loaded.inputs,
        conditions=board,
        course=course(times),
        sketch=base64.b64encode(sketch(times).encode()).decode(),
        host=host.describe(loaded.runtime),
    )


def _order(
    process: Process, asked: Asked, *, loaded: Loaded, warmed: Warmed
) -> tuple[Order, tuple[Searched, ...]]:
    match asked.scenario:
        case "single-stream" | "offline":
            return Order(do="closed", seconds=asked.duration_s), ()
        case "multi-stream":
            runs = math.ceil(asked.samples / loaded.batch)
            return Order(do="closed", seconds=asked.duration_s, runs_per_query=runs), ()
        case "server":
            order = Order(do="served", seconds=asked.duration_s, seed=SEED)
            most_per_s = 1e6 / warmed.warm_up.p50
            if asked.rate is not None:
                return replace(order, per_s=asked.rate), ()
            if asked.limit_us is None:
                return replace(order, per_s=_UNASKED_LOAD * most_per_s), ()
            rate, found = searching.search(
                process, limit_us=asked.limit_us, most_per_s=most_per_s, duration_s=asked.duration_s
            )
            return replace(order, per_s=rate), found


def _samples(asked: Asked, batch: int) -> int:
    """Return how many samples one query answers."""
    match asked.scenario:
        case "multi-stream":
            return asked.samples
        case "offline":
            return batch
        case "single-stream" | "server":
            return 1


def _metric(
    scenario: Scenario, latency: Latency, rate: float, order: Order
) -> tuple[str, float, str]:
    match scenario:
        case "single-stream":
            return "p90 of the latency", latency.p90, "µs"
        case "multi-stream":
            return "p99 of the latency", latency.p99, "µs"
        case "server":
            return "rate asked for", order.per_s, "queries/s"
        case "offline":
            return "throughput", rate, "samples/s"


def _operators(subject: Subject, threads: int) -> tuple[tuple[Operator, ...], str]:
    """Return what each costs, or why that is not known: it fails no measurement."""
    try:
        with started(subject, threads=threads) as process:
            answer = process.ask(Order(do="operators", seconds=_OPERATOR_S))
    except LittoralError as e:
        return (), str(e)
    return answer.operators, answer.note


def _prove(subject: Subject) -> Selftest | None:
    """Return the self-test's figures; it is one thread's, whatever is measured."""
    if subject.manifest is None or subject.hardware is None:
        return None
    with started(subject, threads=1) as process:
        process.ask(Order(do="load"))
        proven = process.ask(Order(do="selftest")).tried
    if proven is None or proven.p95_cpu_us is None:
        return None
    told = Manifest.from_json(subject.manifest)
    return Selftest(
        model=told.model,
        release=told.release,
        hardware=subject.hardware,
        file=hashlib.sha256(subject.model).hexdigest(),
        p95_cpu_us=round(proven.p95_cpu_us, 3),
        budget_us=told.selftest.p95_cpu_us.get(subject.hardware),
        code=proven.code,
        detail=proven.detail,
    )


def course(times: Times) -> tuple[Slice, ...]:
    """Return the run in slices, each of as many queries."""
    parts = min(_SLICES, len(times.latency))
    return tuple(
        Slice(
            at_s=round(float(due[0]) / 1e9, 4),
            p50=round(float(np.median(latency)) / 1e3, 3),
            most=round(float(latency.max()) / 1e3, 3),
        )
        for due, latency in zip(
            np.array_split(times.due, parts), np.array_split(times.latency, parts), strict=True
        )
    )


def sketch(times: Times) -> Sketch:
    made = Sketch()
    for us in (times.latency / 1e3).tolist():
        made.record(us)
    return made

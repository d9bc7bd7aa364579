"""A result as a terminal shows it: tables, and bars made of characters."""

import base64
import math
from collections.abc import Iterator, Sequence
from typing import Final

from littoral.commands.output import table
from littoral.wire.sketch import Sketch
from littoral_serve.bench import words
from littoral_serve.bench.result import Compared, Interval, Result, Setting

_STEPS: Final = "▁▂▃▄▅▆▇█"
_COLUMNS: Final = 60
_BAR: Final = 24
_KINDS: Final = 8
_TAIL: Final = 0.999  # beyond it, the picture would be of one second of the machine's


def show(result: Result) -> str:
    return "\n".join(_lines(result))


def _lines(result: Result) -> Iterator[str]:
    how = words.setting(result.backend, result.threads, result.variant)
    yield f"{result.target} · {how} · {result.scenario}"
    yield f"{_machine(result)}"
    yield ""
    yield table(["", "latency", "95 % interval", ""], list(_latencies(result)))
    yield ""
    yield from spread(result)
    yield ""
    yield table(["", ""], list(_facts(result))).partition("\n")[2]
    if result.operators:
        yield ""
        yield table(["operator", "", "time", "share", ""], list(_operators(result)))
        if result.operators_covered is not None:
            yield words.covered(result.operators_covered)
    elif result.operators_note:
        yield f"no operators: {result.operators_note}"
    if result.settings:
        yield ""
        yield from settings(result.settings)
        yield _recommended(result)
    if result.compared is not None:
        yield ""
        yield from compared(result.compared, result)
    for doubt in words.doubts(result):
        yield f"! {doubt}"


def _machine(result: Result) -> str:
    host = result.host
    what = host.board or host.processor
    return f"{what} ({host.hardware or '?'}), {host.cores} cores, {host.runtime}"


def _latencies(result: Result) -> Iterator[tuple[str, str, str, str]]:
    held = result.latency_us
    most = max(held.p99_9, held.mean)
    for name, shown in (*words.NAMES.items(), ("mean", "mean")):
        value = getattr(held, name)
        ends: Interval = held.ci95.get(name, (None, None))
        yield shown, words.time(value), words.interval(ends), bar(value / most)


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    unit = "samples" if result.scenario in {"offline", "multi-stream"} else "queries"
    measured = f"({result.count:,} queries in {result.duration_s:.1f} s)"
    yield "throughput", f"{words.digits(result.throughput_per_s)} {unit}/s {measured}"
    yield "MLPerf's figure", words.metric(result)
    yield "load", f"{result.load_ms:.1f} ms, first inference {result.first_ms:.2f} ms"
    stable = "stable" if result.warm_up.stable else "not stable"
    yield "warm-up", f"{result.warm_up.seconds:.1f} s, {stable}"
    yield (
        "memory",
        f"{words.size(result.rss_bytes)}; the model adds {words.size(result.memory.model)}",
    )
    yield from _board(result)
    if result.selftest is not None:
        told = result.selftest
        budget = "no budget" if told.budget_us is None else f"budget {words.time(told.budget_us)}"
        went = "passed" if told.code is None else f"failed ({told.code}: {told.detail})"
        yield "self-test", f"{went}, p95 of CPU time {words.time(told.p95_cpu_us)}, {budget}"


def _board(result: Result) -> Iterator[tuple[str, str]]:
    held, told = result.conditions, []
    if held.temperature_c is not None:
        told.append(f"{held.temperature_c.low:.0f} … {held.temperature_c.high:.0f} °C")
    if held.frequency_mhz is not None:
        told.append(f"{held.frequency_mhz.mean:.0f} MHz")
    if held.power_w is not None:
        told.append(f"{held.power_w.mean:.2f} W, {held.energy_mj or 0:.3g} mJ a sample")
    if told:
        told.append("throttled" if held.throttled else "not throttled")
        yield "board", ", ".join(told)


def _operators(result: Result) -> Iterator[tuple[str, str, str, str, str]]:
    rows = words.kinds(result.operators)
    most = rows[0][2] or 1  # those of a tiny model can come to no time at all
    for op, count, us, share in rows[:_KINDS]:
        yield op, f"x {count}", words.time(us), f"{share:.1%}", bar(us / most)
    if len(rows) > _KINDS:
        rest = rows[_KINDS:]
        total = sum(row[3] for row in rest)
        yield (
            "others",
            f"x {sum(r[1] for r in rest)}",
            words.time(sum(r[2] for r in rest)),
            f"{total:.1%}",
            "",
        )


def spread(result: Result) -> Iterator[str]:
    """Walk the lines of a picture of all latencies, on a logarithmic scale."""
    bins = shares(result)
    if not bins:
        return
    highest = max(share for _, share in bins)
    yield "  " + "".join(
        _STEPS[min(len(_STEPS) - 1, int(share / highest * len(_STEPS)))] if share else " "
        for _, share in bins
    )
    low, high = words.time(bins[0][0]), words.time(bins[-1][0])
    yield f"  {low}{high.rjust(len(bins) - len(low))}"


def shares(result: Result, columns: int = _COLUMNS) -> list[tuple[float, float]]:
    """Return by column its latency in µs, and which share of all queries lies there."""
    if not result.sketch:
        return []
    held = Sketch.decode(base64.b64decode(result.sketch))
    kept, left = [], held.count * _TAIL
    for upper, count in held.buckets():
        if left <= 0:
            break
        kept.append((math.log(upper), count))
        left -= count
    low, high = kept[0][0], kept[-1][0]
    columns = max(1, min(columns, round((high - low) * 32 / math.log(2)) + 1))
    width = (high - low) / max(1, columns - 1) or 1.0
    filled = [0] * columns
    for at, count in kept:
        filled[min(columns - 1, round((at - low) / width))] += count
    return [(math.exp(low + k * width), n / held.count) for k, n in enumerate(filled)]


def settings(held: Sequence[Setting]) -> Iterator[str]:
    rows = [
        (
            "→" if one.recommended else "",
            one.variant or "-",
            one.backend,
            one.threads,
            *(
                (None, None, None, None, "does not run")
                if one.error
                else (
                    words.time(one.p50),
                    words.time(one.p95),
                    words.digits(one.throughput_per_s or 0),
                    words.size(one.rss_bytes),
                    "" if one.fits else "beyond the limits",
                )
            ),
        )
        for one in held
    ]
    heads = ("", "variant", "backend", "threads", "p50", "p95", "samples/s", "memory", "")
    yield table(heads, rows)
    for one in held:  # below: a reason is longer than all the columns
        if one.error:
            yield f"{words.setting(one.backend, one.threads, one.variant)}: {one.error}"


def _recommended(result: Result) -> str:
    chosen = result.recommended
    if chosen is None:
        return "no setting fits the limits"
    how = words.setting(chosen.backend, chosen.threads, chosen.variant)
    return f"recommended: {how}"


def compared(held: Compared, result: Result) -> Iterator[str]:
    yield f"B = {held.other}: {held.verdict}, over {held.pairs} pairs in alternation"
    rows = [
        (name, f"{one.value:.3f}", _ends(one.ci95))
        for name, one in (("p50", held.p50), ("p95", held.p95), ("mean", held.mean))
    ]
    yield table(["B / A", "ratio", "95 % interval"], rows)
    yield f"memory: A {words.size(result.rss_bytes)}, B {words.size(held.rss_bytes)}"


def _ends(ends: Interval) -> str:
    return " … ".join("?" if end is None else f"{end:.3f}" for end in ends)


def bar(part: float) -> str:
    """Return a bar of that part of the widest one."""
    return "█" * max(1, round(min(1.0, max(0.0, part)) * _BAR))

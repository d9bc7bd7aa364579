"""A result as one page that needs nothing else: no script, no font, no other file."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from littoral_serve.bench import pictures, words
from littoral_serve.bench.result import Result

_TEMPLATE: Final = Path(__file__).with_name("page.html")
_KEYS: Final = {
    "spread": (("p50", "p50"), ("p95", "p95"), ("p99", "p99")),
    "tail": (("", "measured"), ("whisker", "95 % interval")),
    "course": (("", "median of each slice"), ("band", "up to its slowest query")),
}


def render(result: Result) -> str:
    when = datetime.fromtimestamp(result.time_ms / 1000, UTC)
    return Template(_TEMPLATE.read_text()).substitute(
        title=escape(f"{_name(result)} · bench"),
        body="\n".join(_body(result)),
        when=f"{when:%Y-%m-%d %H:%M} UTC",
    )


def _body(result: Result) -> Iterator[str]:
    how = words.setting(result.backend, result.threads, result.variant)
    host = result.host
    where = f"{result.scenario} · {escape(host.board or host.processor)}"
    yield f"<header><h1>{escape(_name(result))}<small>{escape(how)}</small></h1>"
    yield f'<span class="soft">{where}</span></header>'
    yield _glance(result)
    if doubts := words.doubts(result):
        items = "".join(f"<li>{escape(doubt)}</li>" for doubt in doubts)
        yield f'<div class="warn"><ul>{items}</ul></div>'
    if result.compared is not None:
        yield _compared(result)
    if result.settings:
        yield _settings(result)
    yield _two(
        _picture("How latencies are spread", pictures.spread(result), "spread", _SPREAD),
        _picture("How far the slow ones are", pictures.tail(result), "tail", _TAIL),
    )
    yield _picture("Over the run", pictures.course(result), "course", "")
    yield _two(_figures(result), _operators(result))
    for name, picture in pictures.board(result):
        yield _picture(f"The board's {name}", picture, "", "")
    yield _machine(result)


_VERDICTS: Final = {
    "faster": "B is faster",
    "slower": "B is slower",
    "no difference found": "No difference was found",
}
_SPREAD: Final = "A logarithmic scale; up to p99.9. Point at a bar to see its figures."
_TAIL: Final = (
    "Each nine has as much room. Where an interval reaches the top, the run is too short."
)


def _glance(result: Result) -> str:
    held = result.latency_us
    unit = "samples/s" if result.scenario in {"offline", "multi-stream"} else "queries/s"
    cards = (
        ("p50", words.time(held.p50), words.interval(held.ci95["p50"])),
        ("p99", words.time(held.p99), words.interval(held.ci95["p99"])),
        ("throughput", words.digits(result.throughput_per_s), unit),
        (
            "memory",
            words.size(result.rss_bytes),
            f"the model adds {words.size(result.memory.model)}",
        ),
        ("load", f"{result.load_ms:.1f} ms", f"first inference {result.first_ms:.2f} ms"),
    )
    told = "".join(
        f'<div><dt>{escape(name)}</dt><dd class="big">{escape(value)}</dd>'
        f'<dd class="small">{escape(more)}</dd></div>'
        for name, value, more in cards
    )
    return f'<dl class="glance">{told}</dl>'


def _picture(title: str, picture: str, key: str, note: str) -> str:
    if not picture:
        return ""
    names = "".join(
        f'<span><i class="{kind}"></i>{words_}</span>' for kind, words_ in _KEYS.get(key, ())
    )
    keys = f'<div class="key">{names}</div>' if names else ""
    return _section(title, note, keys, picture)


def _two(*sections: str) -> str:
    return f'<div class="two">{"".join(sections)}</div>'


def _compared(result: Result) -> str:
    held = result.compared
    assert held is not None  # noqa: S101 (who calls this has looked)
    note = (
        f"B is {escape(Path(held.other).name or held.other)}. Time of B by time of A: the median "
        f"over {held.pairs} pairs measured in alternation, with its 95 % interval. On the dashed "
        "line nothing differs."
    )
    memory = f"A {words.size(result.rss_bytes)}, B {words.size(held.rss_bytes)}"
    load = f"A {result.load_ms:.1f} ms, B {held.load_ms:.1f} ms"
    return _section(
        _VERDICTS[held.verdict],
        note,
        pictures.ratios(held),
        '<div class="ends"><span>← B is faster</span><span>B is slower →</span></div>',
        f'<p class="note">Memory: {memory}; load: {load}.</p>',
    )


def _settings(result: Result) -> str:
    rows = [
        (
            words.setting(one.backend, one.threads, one.variant),
            *(
                ("-", "-", "-", one.error)
                if one.error
                else (
                    words.time(one.p50),
                    words.time(one.p95),
                    words.size(one.rss_bytes),
                    "within the limits" if one.fits else "beyond",
                )
            ),
        )
        for one in result.settings
    ]
    limits = [
        f"p95 up to {words.time(result.limit_us)}" if result.limit_us else "",
        f"memory up to {words.size(result.limit_bytes)}" if result.limit_bytes else "",
    ]
    asked = ", ".join(limit for limit in limits if limit) or "none"
    none = "" if result.recommended else " No setting fits."
    heads = ("setting", "p50", "p95", "memory", "")
    return _section(
        "Settings",
        f"Throughput of each. Limits: {asked}.{none}",
        pictures.settings(result.settings),
        f"<details><summary>as a table</summary>{_table(heads, rows)}</details>",
    )


def _figures(result: Result) -> str:
    held = result.latency_us
    rows = [
        (shown, words.time(getattr(held, name)), words.interval(held.ci95.get(name, (None, None))))
        for name, shown in (*words.NAMES.items(), ("mean", "mean"))
    ]
    rows += [("least", words.time(held.least), ""), ("most", words.time(held.most), "")]
    independent = (
        f"{result.count:,} queries in {result.duration_s:.1f} s; they are worth about "
        f"{held.independent:,} independent ones at the median."
    )
    return _section("Figures", independent, _table(("", "latency", "95 % interval"), rows))


def _operators(result: Result) -> str:
    if not result.operators:
        return _section("Operators", escape(result.operators_note or "none"))
    rows = [
        (
            str(one.index),
            one.op,
            " x ".join(map(str, one.shape)),
            words.time(one.us),
            f"{one.share:.1%}",
        )
        for one in result.operators
    ]
    covered = result.operators_covered
    said = "" if covered is None else f" {words.covered(covered)}"
    heads = ("", "operator", "makes", "time", "share")
    return _section(
        "Operators",
        f"Each alone, by kind.{said}",
        pictures.operators(result),
        f"<details><summary>one by one</summary>{_table(heads, rows)}</details>",
    )


def _machine(result: Result) -> str:
    host, held, memory = result.host, result.conditions, result.memory
    steps = (
        ("Python", memory.before),
        ("with the runtime", memory.runtime),
        ("with the model", memory.loaded),
        ("warm", memory.steady),
        ("at most", memory.peak),
    )
    rows = [
        ("machine", f"{host.board or host.name}, {host.cores} cores, {host.memory_mib} MiB"),
        ("processor", host.processor),
        ("hardware", host.hardware or "unknown"),
        ("runtime", f"{host.runtime}, littoral {host.littoral}"),
        ("system", f"Python {host.python}, {host.system}"),
        ("inputs", result.inputs),
        ("warm-up", f"{result.warm_up.count:,} inferences, {result.warm_up.seconds:.1f} s"),
        ("memory", ", ".join(f"{name} {words.size(count)}" for name, count in steps)),
        ("MLPerf's figure", words.metric(result)),
    ]
    if held.temperature_c is not None:
        told = words.spread(held.temperature_c.low, held.temperature_c.high, "°C")
        rows.append(("temperature", told))
    if held.frequency_mhz is not None:
        told = words.spread(held.frequency_mhz.low, held.frequency_mhz.high, "MHz")
        rows.append(("frequency", told))
    if held.power_w is not None:
        rows.append(("power", f"{held.power_w.mean:.2f} W, {held.energy_mj or 0:.3g} mJ a sample"))
    rows.append(("throttled", f"at {held.throttled} of {held.samples} looks"))
    if result.selftest is not None:
        test = result.selftest
        went = "passed" if test.code is None else f"failed: {test.code}"
        rows.append(("self-test", f"{went}; p95 of CPU time {words.time(test.p95_cpu_us)}"))
    return _section("What it was measured on", "", _table(("", ""), rows))


def _section(title: str, note: str, *content: str) -> str:
    said = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{title}</h2>{said}{''.join(content)}</section>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    top = f"<thead><tr>{top}</tr></thead>" if any(heads) else ""
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def _name(result: Result) -> str:
    return Path(result.target).name or result.target

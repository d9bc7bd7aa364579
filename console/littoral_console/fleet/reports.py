"""``littoral fleet alarms|history|telemetry|audit``: what devices said, and who did what."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from littoral.commands.output import JSON, emit
from littoral.wire.stages import STAGES
from littoral_console import figures
from littoral_console.figures import many, micros
from littoral_console.fleet import boards
from littoral_console.fleet.asking import LIMIT, TO, console
from littoral_console.show import ago, table

_URGENCY: Final = {"bad": "now", "busy": "soon"}


@click.command(epilog="Example: littoral fleet alarms")
@JSON
def alarms(*, as_json: bool) -> None:
    """Say what somebody should look at now, the worst first; nothing is good news."""
    found = console().get("alarms")
    lines = [f"{_URGENCY[a['tone']]}: {a['text']} ({a['where']})" for a in found]
    emit({"alarms": found}, as_json=as_json, text="\n".join(lines) or "nothing: all is well")


@click.command(epilog="Example: littoral fleet history --device edge-1 --refused")
@click.option("--device", help="Of this device alone.")
@click.option("--model", help="Of this model alone.")
@click.option("--refused", is_flag=True, help="Only what has a reason code.")
@LIMIT
@JSON
def history(
    *, device: str | None, model: str | None, refused: bool, limit: int, as_json: bool
) -> None:
    """Say what devices reported, newest first, with reasons."""
    found = console().get(
        "history",
        device=device,
        model=model,
        refused="true" if refused else None,
        limit=limit,
    )
    rows = [
        (
            ago(c["received_ms"]),
            c["device"],
            f"{c['model']}:{c['release'] or '-'}" if c["model"] else c["kind"],
            c["event"] or "",
            c["code"] or "",
            c["detail"] or _figures(c["figures"]),
        )
        for c in found
    ]
    heads = ("when", "device", "release", "event", "code", "why")
    emit({"history": found}, as_json=as_json, text=table(heads, rows))


def _figures(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.rows(found))


@click.command(epilog="Example: littoral fleet telemetry --model digits --stage invoke")
@click.option("--model", help="Of this model alone.")
@click.option("--release", type=int, help="Of this release alone.")
@click.option(
    "--stage",
    type=click.Choice(STAGES),
    help="Of this part of a request alone.",
)
@TO
@click.option("--since", "since_s", default=3600, show_default=True, help="Seconds back.")
@click.option("--board", is_flag=True, help="How boards were instead: heat, power, memory, disk.")
@click.option("--drift", is_flag=True, help="How far answers moved from the release's baseline.")
@JSON
def telemetry(
    *,
    model: str | None,
    release: int | None,
    stage: str | None,
    to: str,
    since_s: int,
    board: bool,
    drift: bool,
    as_json: bool,
) -> None:
    """Say how fast models answer, percentiles of merged sketches in µs; or how boards are."""
    if drift:
        found = console().get("telemetry/drift", model=model, to=to, since_s=since_s)
        emit({"drift": found}, as_json=as_json, text=_drifts(found))
        return
    if board:
        points = console().get("telemetry/boards", to=to, since_s=since_s)
        emit({"boards": points}, as_json=as_json, text=boards.summary(points))
        return
    found = console().get(
        "telemetry", model=model, release=release, stage=stage, to=to, since_s=since_s
    )
    errors = console().get("telemetry/errors", model=model, to=to, since_s=since_s)
    rows = [
        (
            f"{r['model']}:{r['release']}",
            r["stage"],
            r["count"],
            *(micros(r[name]) for name in ("p50_us", "p95_us", "p99_us", "mean_us")),
        )
        for r in found
    ]
    heads = ("release", "stage", "requests", "p50", "p95", "p99", "mean")
    failed = [f"{e['model']}:{e['release']} failed {many(e['errors'], 'request')}" for e in errors]
    text = "\n".join((table(heads, rows), *failed))
    emit({"latency": found, "errors": errors}, as_json=as_json, text=text)


def _drifts(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"{one['model']}:{one['release']}",
            kind["kind"],
            kind["count"],
            f"{kind['index']:.3f}",
            f"{kind['p_value']:.2g}",
            kind["level"],
        )
        for one in found
        for kind in one["kinds"]
    ]
    return table(("release", "of", "answers", "index", "p-value", "drift"), rows)


@click.command(epilog="Example: littoral fleet audit --limit 20")
@LIMIT
@JSON
def audit(*, limit: int, as_json: bool) -> None:
    """Say who did what, newest first, and whether the log is as it was written."""
    found = console().get("audit", limit=limit)
    rows = [
        (ago(e["time_ms"]), e["who"], e["action"], e["subject"], _detail(e["detail"]))
        for e in found["entries"]
    ]
    text = table(("when", "who", "what", "subject", "detail"), rows)
    if found["broken"] is not None:
        text += f"\nentry {found['broken']} is not as it was written: somebody changed the log"
    emit(found, as_json=as_json, text=text)


def _detail(detail: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(detail.items()))

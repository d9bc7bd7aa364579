"""``littoral fleet status|devices|label|revoke``: which devices there are, and what they run."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from littoral.commands.output import JSON, emit
from littoral_console.figures import many
from littoral_console.fleet.asking import TO, console, pairs
from littoral_console.show import ago, labelled, table


@click.command(epilog="Example: littoral fleet status")
@JSON
def status(*, as_json: bool) -> None:
    """Count the fleet."""
    found = console().get("fleet")
    text = (
        f"{found['fleet']}: {found['online']} of {many(found['devices'], 'device')} online, "
        f"{many(found['releases'], 'release')} of {many(found['models'], 'model')}, "
        f"{many(found['pending'], 'update')} under way, {found['refused']} refused or failed"
    )
    emit(found, as_json=as_json, text=text)


@click.command(epilog='Example: littoral fleet devices --to "site=berlin and hardware=coral"')
@click.argument("device", required=False)
@TO
@JSON
def devices(device: str | None, *, to: str, as_json: bool) -> None:
    """List the devices and what they run, or say all about DEVICE."""
    if device is not None:
        detail = console().get(f"devices/{device}")
        rows = [detail["device"]]
        emit(detail, as_json=as_json, text=table(_DEVICE, [_device(d) for d in rows]))
        return
    found = console().get("devices", to=to)
    emit({"devices": found}, as_json=as_json, text=table(_DEVICE, [_device(d) for d in found]))


_DEVICE = ("device", "online", "seen", "runs", "wanted", "hardware", "labels")


def _device(d: Mapping[str, Any]) -> Sequence[str]:
    return (
        d["id"],
        "revoked" if d["revoked_ms"] else "yes" if d["online"] else "no",
        ago(d["last_seen_ms"]),
        " ".join(f"{m['model']}:{m['release'] or '-'} {m['state']}" for m in d["models"]),
        " ".join(f"{w['model']}:{w['release']} {w['code'] or w['outcome']}" for w in d["wanted"]),
        " ".join(d["hardware"]),
        labelled(d["labels"]),
    )


@click.command(epilog="Example: littoral fleet label edge-1 site=berlin line=3")
@click.argument("device")
@click.argument("labels", nargs=-1)
@JSON
def label(device: str, labels: tuple[str, ...], *, as_json: bool) -> None:
    """Replace DEVICE's labels, by which selectors find it."""
    detail = console().patch(f"devices/{device}", {"labels": pairs(labels)})
    emit(detail, as_json=as_json, text=f"{device}: {labelled(detail['device']['labels'])}")


@click.command(epilog="Example: littoral fleet revoke edge-1")
@click.argument("device")
@JSON
def revoke(device: str, *, as_json: bool) -> None:
    """Deny DEVICE everything, at once; only a token made for its name brings it back."""
    detail = console().post(f"devices/{device}/revoke")
    emit(detail, as_json=as_json, text=f"{device}: revoked")

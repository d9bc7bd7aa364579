"""``littoral fleet status|devices|label``: which devices there are, what they run, who they are."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from littoral import waits
from littoral.commands.output import JSON, Group, emit
from littoral.errors import MisuseError
from littoral.sizes import progress
from littoral_console.figures import many, utc
from littoral_console.fleet import boards
from littoral_console.fleet.asking import TO, console, pairs
from littoral_console.show import ago, labelled, table

_NO_FLEET = "no fleet yet, for no repository was uploaded"


@click.command(epilog="Example: littoral fleet status")
@JSON
def status(*, as_json: bool) -> None:
    """Count the fleet."""
    found = console().get("fleet")
    text = (
        f"{found['fleet'] or _NO_FLEET}: "
        f"{found['online']} of {many(found['devices'], 'device')} online, "
        f"{many(found['releases'], 'release')} of {many(found['models'], 'model')}, "
        f"{many(found['pending'], 'update')} under way, {found['refused']} refused or failed"
    )
    emit(found, as_json=as_json, text=text)


class _Devices(Group):
    """A group in which a word that is no command is a device to show."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Devices,
    invoke_without_command=True,
    epilog='Example: littoral fleet devices --to "site=berlin and hardware=coral"',
)
@TO
@JSON
@click.pass_context
def devices(context: click.Context, *, to: str, as_json: bool) -> None:
    """List the devices and what they run; show one, or order what it shall be."""
    if context.invoked_subcommand is None:
        _list(to, as_json=as_json)


@devices.command("list", epilog="Example: littoral fleet devices list --to site=berlin")
@TO
@JSON
def list_devices(*, to: str, as_json: bool) -> None:
    """List the devices and what they run; 'list' may be left out."""
    _list(to, as_json=as_json)


def _list(to: str, *, as_json: bool) -> None:
    found = console().get("devices", to=to)
    emit({"devices": found}, as_json=as_json, text=table(_DEVICE, [_device(d) for d in found]))


@devices.command(epilog="Example: littoral fleet devices show edge-1")
@click.argument("device")
@JSON
def show(device: str, *, as_json: bool) -> None:
    """Say all about DEVICE; 'show' may be left out."""
    detail = console().get(f"devices/{device}")
    emit(detail, as_json=as_json, text=_detail(detail))


def _detail(detail: Mapping[str, Any]) -> str:
    d = detail["device"]
    lines = [table(_DEVICE, [_device(d)])]
    if d["wanted"]:
        lines += ["", table(_WANTED, [_wanted(w, d) for w in d["wanted"]])]
    if d["issued"] is not None and d["director"] < d["issued"]:
        lines += [
            "",
            f"director: it believes {d['director']}, and was not heard with {d['issued']}",
        ]
    if d["carried_ms"] is not None and not d["online"]:
        said, brought = ago(d["carried_ms"]), ago(d["brought_ms"])
        lines += ["", f"carried by hand: it said this offline, {said}; brought {brought}"]
    if (unreached := d["unreached"]) is not None and d["online"]:
        since = ago(unreached["since_ms"])
        lines += ["", f"no releases since {since}: {unreached['detail']} [{unreached['code']}]"]
    if detail["device"]["frozen_why"]:
        lines += ["", f"frozen: {detail['device']['frozen_why']}"]
    board = list(boards.lines(detail))
    lines += ["", *board] if board else []
    rows = [
        (
            c["incarnation"],
            c["certificate"][:16],
            c["standing"],
            ago(c["issued_ms"]),
            utc(c["ends_ms"])[:10] if c["ends_ms"] else "-",
        )
        for c in detail["certificates"]
    ]
    lines += ["", table(("incarnation", "certificate", "standing", "issued", "ends"), rows)]
    happened = [
        (ago(h["time_ms"]), h["action"].removeprefix("device."), h["who"], h["why"])
        for h in detail["identity"]
    ]
    lines += ["", table(("when", "what", "by", "why"), happened)]
    return "\n".join(lines)


_DEVICE = ("device", "online", "seen", "runs", "wanted", "hardware", "labels")


def _device(d: Mapping[str, Any]) -> Sequence[str]:
    return (
        d["id"],
        _online(d),
        ago(d["last_seen_ms"]),
        " ".join(f"{m['model']}:{m['release'] or '-'} {_state(m)}" for m in d["models"]),
        " ".join(f"{w['model']}:{w['release']} {w['code'] or w['outcome']}" for w in d["wanted"]),
        " ".join(d["hardware"]),
        labelled(d["labels"]),
    )


_WANTED = ("wanted", "runs", "good", "state", "since", "code", "why")


def _wanted(w: Mapping[str, Any], d: Mapping[str, Any]) -> Sequence[str]:
    said = next((m for m in d["models"] if m["model"] == w["model"]), None) or {}
    return (
        f"{w['model']}:{w['release']}",
        str(said.get("release") or "nothing"),
        str(said.get("good") or "-"),
        w["outcome"] if w["outcome"] != "healthy" or w["met"] else "not as wanted",
        ago(w["since_ms"]),
        w["code"] or "",
        w["detail"],
    )


def _state(m: Mapping[str, Any]) -> str:
    if m["waits"] is None:
        far = f", {progress(m['done_bytes'], m['total_bytes'])}" if m["total_bytes"] else ""
        return f"{m['state']}{far}"
    now_ms = round(time.time() * 1000)
    return f"{m['state']}, {waits.words(m['waits'], m['waits_until_ms'], now_ms=now_ms)}"


def _online(d: Mapping[str, Any]) -> str:
    if d["revoked_ms"]:
        return f"revoked {ago(d['revoked_ms'])}"
    if d["frozen_ms"]:
        return f"frozen {ago(d['frozen_ms'])}"
    return "yes" if d["online"] else "no"


@click.command(epilog="Example: littoral fleet label edge-1 site=berlin line=3")
@click.argument("device")
@click.argument("labels", nargs=-1)
@JSON
def label(device: str, labels: tuple[str, ...], *, as_json: bool) -> None:
    """Replace DEVICE's labels, by which selectors find it."""
    detail = console().patch(f"devices/{device}", {"labels": pairs(labels)})
    emit(detail, as_json=as_json, text=f"{device}: {labelled(detail['device']['labels'])}")


@devices.command(epilog="Example: littoral fleet devices revoke edge-1")
@click.argument("device")
@JSON
def revoke(device: str, *, as_json: bool) -> None:
    """Deny DEVICE everything, at once; only a token made for its name brings it back."""
    detail = console().post(f"devices/{device}/revoke")
    emit(detail, as_json=as_json, text=f"{device}: revoked")


@devices.command(epilog="Example: littoral fleet devices thaw edge-1")
@click.argument("device")
@JSON
def thaw(device: str, *, as_json: bool) -> None:
    """Hear DEVICE again, which was frozen because two processes spoke as it, in turn."""
    detail = console().post(f"devices/{device}/thaw")
    emit(detail, as_json=as_json, text=f"{device}: heard again; it asks within the hour")


@devices.command(epilog="Example: littoral fleet devices rotate --to site=berlin")
@click.argument("device", required=False)
@click.option("--to", help="All that a selector means, in place of DEVICE.")
@JSON
def rotate(device: str | None, *, to: str | None, as_json: bool) -> None:
    """Ask DEVICE for a newer key; its present one counts until it was heard by that."""
    if (device is None) == (to is None):
        raise MisuseError("expected DEVICE, or --to SELECTOR")
    if device is not None:
        detail = console().post(f"devices/{device}/rotate")
        emit(detail, as_json=as_json, text=f"{device}: asked for a newer key")
        return
    found = console().post("rotations", {"to": to})
    text = f"{many(len(found['devices']), 'device')} asked for a newer key"
    emit(found, as_json=as_json, text=text)

"""``littoral fleet``: the fleet from a terminal, over the console's REST API."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

from littoral.commands.output import JSON, emit
from littoral.errors import MisuseError
from littoral_console.client import Console, Login, read_login, write_login
from littoral_console.pushing import push as push_and_wait
from littoral_console.show import ago, micro, table

_TO = click.option("--to", default="all", show_default=True, help="all, a device, or a selector.")
_LIMIT = click.option("--limit", default=50, show_default=True, help="At most so many.")


def _console() -> Console:
    login = read_login()
    return Console(login.url, token=login.token, ca=login.ca)


@click.group(epilog="Example: littoral fleet push digits:2 --to site=berlin --wait 600")
def fleet() -> None:
    """Look at devices and releases, push, and see what became of it."""


@fleet.command(epilog="Example: littoral fleet login http://127.0.0.1:8080 --username anna")
@click.argument("url")
@click.option("--code", help="The console's one-time code: makes the first administrator.")
@click.option("--username", default="admin", show_default=True, help="Who logs in.")
@click.option("--password", envvar="LITTORAL_PASSWORD", help="Asked for when not given.")
@click.option("--ca", type=click.Path(path_type=Path, exists=True), help="PEM of its authority.")
@JSON
def login(
    url: str,
    *,
    code: str | None,
    username: str,
    password: str | None,
    ca: Path | None,
    as_json: bool,
) -> None:
    """Log in to the console at URL; the address with the code, as it prints it, will do."""
    parts = urlsplit(url)
    code = code or next(iter(parse_qs(parts.query).get("code", [])), None)
    base = f"{parts.scheme}://{parts.netloc}" if parts.scheme else f"http://{url}"
    if password is None:
        if not sys.stdin.isatty():
            raise MisuseError("no terminal to ask for the password; set LITTORAL_PASSWORD")
        password = click.prompt("Password", hide_input=True, confirmation_prompt=code is not None)
    authority = None if ca is None else ca.read_text()
    console = Console(base, ca=authority)
    body = {"username": username, "password": password}
    reply = (
        console.post("login", {**body, "purpose": f"{os.uname().nodename} command line"[:64]})
        if code is None
        else console.post("setup", {**body, "code": code})
    )
    kept = write_login(
        Login(url=base, token=reply["token"], username=reply["username"], ca=authority)
    )
    emit(
        {"url": base, "username": username, "file": str(kept)},
        as_json=as_json,
        text=f"logged in to {base} as {username}; kept in {kept}",
    )


@fleet.command(epilog="Example: littoral fleet status")
@JSON
def status(*, as_json: bool) -> None:
    """Count the fleet."""
    found = _console().get("fleet")
    text = (
        f"{found['fleet']}: {found['online']} of {found['devices']} devices online, "
        f"{found['releases']} releases of {found['models']} models, "
        f"{found['pending']} updates under way, {found['refused']} refused or failed"
    )
    emit(found, as_json=as_json, text=text)


@fleet.command(epilog='Example: littoral fleet devices --to "site=berlin and hardware=coral"')
@click.argument("device", required=False)
@_TO
@JSON
def devices(device: str | None, *, to: str, as_json: bool) -> None:
    """List the devices and what they run, or say all about DEVICE."""
    if device is not None:
        detail = _console().get(f"devices/{device}")
        rows = [detail["device"]]
        emit(detail, as_json=as_json, text=table(_DEVICE, [_device(d) for d in rows]))
        return
    found = _console().get("devices", to=to)
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
        _labels(d["labels"]),
    )


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()))


@fleet.command(epilog="Example: littoral fleet label edge-1 site=berlin line=3")
@click.argument("device")
@click.argument("labels", nargs=-1)
@JSON
def label(device: str, labels: tuple[str, ...], *, as_json: bool) -> None:
    """Replace DEVICE's labels, by which selectors find it."""
    detail = _console().patch(f"devices/{device}", {"labels": _pairs(labels)})
    emit(detail, as_json=as_json, text=f"{device}: {_labels(detail['device']['labels'])}")


@fleet.command(epilog="Example: littoral fleet revoke edge-1")
@click.argument("device")
@JSON
def revoke(device: str, *, as_json: bool) -> None:
    """Deny DEVICE everything, at once; only a token made for its name brings it back."""
    detail = _console().post(f"devices/{device}/revoke")
    emit(detail, as_json=as_json, text=f"{device}: revoked")


@fleet.group(epilog="Example: littoral fleet tokens new --label site=berlin")
def tokens() -> None:
    """Admit devices, each by a token that works once."""


@tokens.command("new", epilog="Example: littoral fleet tokens new --label site=berlin")
@click.option("--device", help="The only name it may give.")
@click.option("--serial", help="The only board that may use it.")
@click.option("--label", "labels", multiple=True, help="NAME=VALUE; repeat.")
@click.option("--hours", default=24.0, show_default=True, help="How long it may be used.")
@JSON
def new_token(
    *, device: str | None, serial: str | None, labels: tuple[str, ...], hours: float, as_json: bool
) -> None:
    """Print a token for 'littoral enroll'; it is shown this once."""
    body = {
        "device": device,
        "serial": serial,
        "labels": _pairs(labels),
        "lives_s": max(int(hours * 3600), 1),
    }
    found = _console().post("enrolment-tokens", body)
    emit(found, as_json=as_json, text=found["token"])


@tokens.command("list", epilog="Example: littoral fleet tokens list")
@JSON
def list_tokens(*, as_json: bool) -> None:
    """List the tokens that were made; the secrets themselves are not kept."""
    found = _console().get("enrolment-tokens")
    rows = [
        (t["id"], t["device"] or "any", t["created_by"], ago(t["created_ms"]), t["used_by"] or "")
        for t in found
    ]
    heads = ("token", "for", "by", "made", "used by")
    emit({"tokens": found}, as_json=as_json, text=table(heads, rows))


@fleet.group(epilog="Example: littoral fleet releases upload repo/")
def releases() -> None:
    """Send releases to the console, and see which are there."""


@releases.command("list", epilog="Example: littoral fleet releases list --model digits")
@click.option("--model", help="Of this model alone.")
@JSON
def list_releases(*, model: str | None, as_json: bool) -> None:
    """List the releases."""
    found = _console().get("releases", model=model)
    rows = [
        (
            f"{r['model']}:{r['release']}",
            r["label"],
            "withdrawn" if r["withdrawn"] else f"{r['running']} running",
            f"{r['size'] / 1e6:.2f} MB",
            " ".join(r["hardware"]),
            ago(r["added_ms"]),
        )
        for r in found
    ]
    heads = ("release", "label", "devices", "size", "hardware", "added")
    emit({"releases": found}, as_json=as_json, text=table(heads, rows))


@releases.command("upload", epilog="Example: littoral fleet releases upload repo/")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@JSON
def upload(folder: Path, *, as_json: bool) -> None:
    """Send what is new in the repository DIR; the console believes it, or says why not."""
    from littoral_console.uploading import upload as upload_folder

    quiet = as_json or not sys.stderr.isatty()
    sent = upload_folder(_console(), folder, quiet=quiet)
    names = ", ".join(f"{r['model']}:{r['release']}" for r in sent["releases"]) or "none"
    text = f"{sent['files']} files, {sent['bytes']} bytes sent; new releases: {names}"
    emit(sent, as_json=as_json, text=text)


@fleet.command(epilog='Example: littoral fleet push digits:2 --to "site=berlin" --wait 600')
@click.argument("release", metavar="MODEL:RELEASE")
@_TO
@click.option("--force", is_flag=True, help="Also where no variant fits, or below the floor.")
@click.option(
    "--wait",
    "wait_s",
    type=float,
    help="Seconds to wait for outcomes; probation takes a device 300, by default.",
)
@JSON
def push(release: str, *, to: str, force: bool, wait_s: float | None, as_json: bool) -> None:
    """Ask devices for a release: a newer one, or an earlier one to go back on purpose.

    Exits with 1 when a device refused it or failed, and with its reason.
    """
    model, _, number = release.partition(":")
    if not number.isdigit():
        raise MisuseError(f"expected MODEL:RELEASE, as digits:2, found {release!r}")
    order = {"model": model, "release": int(number), "to": to, "force": force}
    push_and_wait(_console(), order, wait_s=wait_s, as_json=as_json)


@fleet.command(epilog="Example: littoral fleet rollouts 7")
@click.argument("rollout", type=int, required=False)
@_LIMIT
@JSON
def rollouts(rollout: int | None, *, limit: int, as_json: bool) -> None:
    """List the rollouts, or how each device of ROLLOUT fares."""
    if rollout is not None:
        detail = _console().get(f"rollouts/{rollout}")
        rows: list[tuple[object, ...]] = [
            (d["device"], d["outcome"], d["step"], d["code"] or "", d["detail"])
            for d in detail["devices"]
        ]
        heads: tuple[str, ...] = ("device", "outcome", "step", "code", "why")
        emit(detail, as_json=as_json, text=table(heads, rows))
        return
    found = _console().get("rollouts", limit=limit)
    rows = [
        (
            r["id"],
            f"{r['model']}:{r['release']}",
            r["selector"],
            " ".join(f"{n} {name}" for name, n in sorted(r["outcomes"].items())),
            r["created_by"],
            ago(r["created_ms"]),
        )
        for r in found
    ]
    heads = ("rollout", "release", "to", "devices", "by", "asked")
    emit({"rollouts": found}, as_json=as_json, text=table(heads, rows))


@fleet.command(epilog="Example: littoral fleet history --device edge-1 --refused")
@click.option("--device", help="Of this device alone.")
@click.option("--model", help="Of this model alone.")
@click.option("--refused", is_flag=True, help="Only what has a reason code.")
@_LIMIT
@JSON
def history(
    *, device: str | None, model: str | None, refused: bool, limit: int, as_json: bool
) -> None:
    """Say what devices reported, newest first, with reasons."""
    found = _console().get(
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
            c["detail"],
        )
        for c in found
    ]
    heads = ("when", "device", "release", "event", "code", "why")
    emit({"history": found}, as_json=as_json, text=table(heads, rows))


@fleet.command(epilog="Example: littoral fleet telemetry --model digits --stage invoke")
@click.option("--model", help="Of this model alone.")
@click.option("--release", type=int, help="Of this release alone.")
@click.option(
    "--stage",
    type=click.Choice(["queue", "preprocess", "invoke", "postprocess"]),
    help="Of this part of a request alone.",
)
@_TO
@click.option("--since", "since_s", default=3600, show_default=True, help="Seconds back.")
@JSON
def telemetry(
    *,
    model: str | None,
    release: int | None,
    stage: str | None,
    to: str,
    since_s: int,
    as_json: bool,
) -> None:
    """Say how fast models answer: percentiles of merged sketches, in µs."""
    console = _console()
    found = console.get(
        "telemetry", model=model, release=release, stage=stage, to=to, since_s=since_s
    )
    errors = console.get("telemetry/errors", model=model, to=to, since_s=since_s)
    rows = [
        (
            f"{r['model']}:{r['release']}",
            r["stage"],
            r["count"],
            *(micro(r[name]) for name in ("p50_us", "p95_us", "p99_us", "mean_us")),
        )
        for r in found
    ]
    heads = ("release", "stage", "requests", "p50", "p95", "p99", "mean")
    failed = [f"{e['model']}:{e['release']} failed {e['errors']} requests" for e in errors]
    text = "\n".join((table(heads, rows), *failed))
    emit({"latency": found, "errors": errors}, as_json=as_json, text=text)


@fleet.command(epilog="Example: littoral fleet audit --limit 20")
@_LIMIT
@JSON
def audit(*, limit: int, as_json: bool) -> None:
    """Say who did what, newest first, and whether the log is as it was written."""
    found = _console().get("audit", limit=limit)
    rows = [
        (ago(e["time_ms"]), e["who"], e["action"], e["subject"], _detail(e["detail"]))
        for e in found["entries"]
    ]
    text = str(table(("when", "who", "what", "subject", "detail"), rows))
    if found["broken"] is not None:
        text += f"\nentry {found['broken']} is not as it was written: somebody changed the log"
    emit(found, as_json=as_json, text=text)


def _detail(detail: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(detail.items()))


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise MisuseError(f"expected NAME=VALUE, found {word!r}")
        pairs[name] = value
    return pairs

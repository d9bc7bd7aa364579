"""``littoral repo``: the signed folder from which devices take what they may run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from littoral.commands import ceremony, drafting, exporting
from littoral.commands.output import JSON, Group, emit, table

if TYPE_CHECKING:
    from littoral.trust.survey import Row

_DIR = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_OFFLINE = click.option(
    "--offline",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the keys that are kept away from every network.",
)
_ONLINE = click.option(
    "--online",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the console's keys.",
)


@click.group(cls=Group, epilog="Example: littoral repo status repo/")
def repo() -> None:
    """Make, sign and check a repository of releases."""


@repo.command(
    epilog="Example: littoral repo init repo/ --offline usb/ --online console/keys --fleet shore"
)
@_DIR
@_OFFLINE
@_ONLINE
@click.option("--fleet", metavar="NAME", required=True, help="Whose devices believe it.")
@JSON
def init(folder: Path, offline: Path, online: Path, fleet: str, *, as_json: bool) -> None:
    """Make all keys and a repository in DIR that names no model yet.

    Where several people hold the keys: littoral repo found.
    """
    import hashlib

    from littoral.trust import writer

    writer.init(folder, offline=offline, online=online, fleet=fleet)
    sha256 = hashlib.sha256((folder / "metadata" / "root.json").read_bytes()).hexdigest()
    value = {"repository": folder, "fleet": fleet, "root_sha256": sha256}
    text = (
        f"{folder}: a repository for the fleet {fleet!r}, root {sha256}\n"
        f"Keep {offline} offline: two of its three root keys can replace every other key.\n"
        f"Next: littoral repo delegate {folder} MODEL --offline {offline}"
    )
    emit(value, as_json=as_json, text=text)


@repo.command(epilog="Example: littoral repo delegate repo/ digits --offline usb/keys")
@_DIR
@click.argument("model")
@_OFFLINE
@JSON
def delegate(folder: Path, model: str, offline: Path, *, as_json: bool) -> None:
    """Trust the key MODEL-1 in the offline folder, made if it is not there, with its releases."""
    from littoral.trust import writer
    from littoral.trust.keyfiles import held

    keyid = writer.delegate(folder, model, offline=offline)
    value = {"model": model, "keyid": keyid, "key": held(offline, f"{model}-1")}
    emit(value, as_json=as_json, text=f"{model}: its releases are signed by {value['key']}")


@repo.command(epilog="Example: littoral repo renew repo/ --online console/keys")
@_DIR
@_ONLINE
@JSON
def renew(folder: Path, online: Path, *, as_json: bool) -> None:
    """Sign a snapshot and a timestamp of what lies in DIR."""
    from littoral.trust import writer

    snapshot, timestamp = writer.renew(folder, online=online)
    value = {"snapshot": snapshot, "timestamp": timestamp}
    emit(value, as_json=as_json, text=f"{folder}: snapshot {snapshot}, timestamp {timestamp}")


@repo.command(
    epilog="Example: littoral repo rotate repo/ time --offline usb/ --online console/keys"
)
@_DIR
@click.argument("role")
@_OFFLINE
@click.option(
    "--online",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the console's keys, to replace one of them.",
)
@click.option("--key", metavar="KEYID", help="The key to replace, where the role has several.")
@JSON
def rotate(
    folder: Path,
    role: str,
    offline: Path,
    online: Path | None,
    key: str | None,
    *,
    as_json: bool,
) -> None:
    """Replace the key of ROLE, lost or stolen, by a new one.

    ROLE is root, targets, a model, or one of the console's: snapshot, timestamp, director, time.
    """
    from littoral.trust import writer

    done = writer.rotate(folder, role, offline=offline, online=online, key=key)
    value = {"role": role, "old": done.old, "new": done.new, "key": done.path}
    text = f"{role}: {done.path} takes the place of key {done.old[:12]}…"
    emit(value, as_json=as_json, text=text)


@repo.command(epilog="Example: littoral repo extend repo/ --offline usb/")
@_DIR
@_OFFLINE
@JSON
def extend(folder: Path, offline: Path, *, as_json: bool) -> None:
    """Sign root, targets and every model's metadata anew, for their full lives."""
    from littoral.trust import writer

    writer.extend(folder, offline=offline)
    rows = writer.status(folder, now=datetime.now(UTC))
    emit({"roles": [_plain(row) for row in rows]}, as_json=as_json, text=_table(rows))


@repo.command(epilog="Example: littoral repo floor repo/ digits 7 --offline usb/")
@_DIR
@click.argument("model")
@click.argument("release", type=click.IntRange(min=1))
@_OFFLINE
@click.option("--force", is_flag=True, help="Also above every release that is published.")
@JSON
def floor(
    folder: Path, model: str, release: int, offline: Path, *, force: bool, as_json: bool
) -> None:
    """Let no device newly activate a release of MODEL below RELEASE. A floor never falls."""
    from littoral.trust import writer

    writer.raise_floor(folder, model, floor=release, offline=offline, force=force)
    value = {"model": model, "floor": release}
    emit(value, as_json=as_json, text=f"{model}: nothing below release {release} is activated")


@repo.command(epilog="Example: littoral repo status repo/ --json")
@_DIR
@JSON
def status(folder: Path, *, as_json: bool) -> None:
    """Say who signs what in DIR, at which version, and when it expires."""
    from littoral.trust import writer

    rows = writer.status(folder, now=datetime.now(UTC))
    emit({"roles": [_plain(row) for row in rows]}, as_json=as_json, text=_table(rows))


@repo.command(epilog="Example: littoral repo verify repo/")
@_DIR
@JSON
def verify(folder: Path, *, as_json: bool) -> None:
    """Check every signature, expiry, manifest and file in DIR, as a device would.

    Each encoding of a file is decoded. One that is not here is no fault.
    """
    from littoral.trust import survey

    rows = survey.verify(folder, now=datetime.now(UTC))
    missing = survey.missing(folder)
    value = {"ok": True, "missing_encodings": missing, "roles": [_plain(row) for row in rows]}
    said = f"{folder}: {_holds(rows)}"
    if missing:
        said += f"\n{missing} encodings are not here: devices take the files as they are"
    emit(value, as_json=as_json, text=f"{_table(rows)}\n{said}")


for _command in (exporting.export, drafting.found, drafting.draft):
    repo.add_command(_command)
for _command in (ceremony.review, ceremony.sign, ceremony.collect):
    repo.add_command(_command)


def _holds(rows: tuple["Row", ...]) -> str:
    if "timestamp" in {row.role for row in rows}:
        return "all of it holds"
    return "all of it holds; the console signs snapshot and timestamp, before devices take any"


def _table(rows: tuple["Row", ...]) -> str:
    heads = ("ROLE", "VERSION", "EXPIRES", "DAYS LEFT", "SIGNED BY", "KEYS", "RELEASES")
    cells = [
        (
            row.role,
            row.version,
            f"{row.expires:%Y-%m-%d}",
            {"fine": row.days_left, "soon": f"{row.days_left} !", "over": "expired"}[row.urgency],
            f"{row.threshold} of {len(row.keyids)}",
            ", ".join(row.owners),
            ", ".join(map(str, row.releases)),
        )
        for row in rows
    ]
    soon = [row for row in rows if row.urgency != "fine"]
    if not soon:
        return table(heads, cells)
    names = ", ".join(row.role for row in soon)
    hint = "(!) sign them anew in time: littoral repo extend, renew or draft"
    return f"{table(heads, cells)}\n{names}: {hint}"


def _plain(row: "Row") -> dict[str, Any]:
    return {
        "role": row.role,
        "version": row.version,
        "expires": row.expires.isoformat(),
        "days_left": row.days_left,
        "threshold": row.threshold,
        "keyids": row.keyids,
        "owners": row.owners,
        "urgency": row.urgency,
        "releases": row.releases,
    }

"""``littoral fleet releases``: send releases to the console, and see which are there."""

import sys
from pathlib import Path
from typing import Any

import click

from littoral import records
from littoral.bundle.costs import Cost
from littoral.bundle.manifest import check_id
from littoral.commands.output import JSON, Group, emit
from littoral.errors import MisuseError
from littoral.sizes import size
from littoral_console import figures
from littoral_console.figures import many, percent
from littoral_console.fleet.asking import console
from littoral_console.show import ago, table


@click.group(cls=Group, epilog="Example: littoral fleet releases upload repo/")
def releases() -> None:
    """Send releases to the console, and see which are there."""


@releases.command("list", epilog="Example: littoral fleet releases list --model digits")
@click.option("--model", help="Of this model alone.")
@JSON
def list_releases(*, model: str | None, as_json: bool) -> None:
    """List the releases."""
    found = console().get("releases", model=model)
    rows = [
        (
            f"{r['model']}:{r['release']}",
            "" if r["label"] == str(r["release"]) else r["label"],
            "withdrawn" if r["withdrawn"] else f"{r['running']} running",
            size(r["size"]),
            " ".join(r["hardware"]),
            ago(r["added_ms"]),
        )
        for r in found
    ]
    heads = ("release", "label", "devices", "size", "hardware", "added")
    emit({"releases": found}, as_json=as_json, text=table(heads, rows))


@releases.command("show", epilog="Example: littoral fleet releases show digits:7")
@click.argument("release", metavar="MODEL:RELEASE")
@JSON
def show(release: str, *, as_json: bool) -> None:
    """Show a release, its files, and what it costs a device by what that has already."""
    asked = f"releases/{_path(release)}"
    found, costs = console().get(asked), console().get(f"{asked}/costs")
    emit({**found, "costs": costs}, as_json=as_json, text=_shown(found, costs))


def _path(release: str) -> str:
    model, _, number = release.partition(":")
    try:
        return f"{check_id('model', model)}/{int(number)}"
    except ValueError as e:
        raise MisuseError(f"expected MODEL:RELEASE, found {release!r}") from e


def _shown(found: dict[str, Any], costs: list[dict[str, Any]]) -> str:
    where = "withdrawn" if found["withdrawn"] else f"{found['running']} running"
    head = f"{found['model']}:{found['release']}  {found['task']}, {where}, {size(found['size'])}"
    ways = [
        (cost.variant, how, size(count), percent(count / cost.plain) if cost.plain else "")
        for cost in (records.fill(Cost, one) for one in costs)
        for how, count in figures.ways(cost)
    ]
    files = [(one["name"], size(one["size"]), one["sha256"][:16]) for one in found["files"]]
    return "\n".join(
        (
            head,
            table(("variant", "travels", "bytes", "of the files"), ways),
            table(("file", "size", "sha256"), files),
        )
    )


@releases.command("upload", epilog="Example: littoral fleet releases upload repo/")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@JSON
def upload(folder: Path, *, as_json: bool) -> None:
    """Send what is new in the repository DIR; the console believes it, or says why not."""
    from littoral_console.uploading import upload as upload_folder

    quiet = as_json or not sys.stderr.isatty()
    sent = upload_folder(console(), folder, quiet=quiet)
    names = ", ".join(f"{r['model']}:{r['release']}" for r in sent["releases"]) or "none"
    text = f"{many(sent['files'], 'file')}, {size(sent['bytes'])} sent; new releases: {names}"
    emit(sent, as_json=as_json, text=text)

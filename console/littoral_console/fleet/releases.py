"""``littoral fleet releases``: send releases to the console, and see which are there."""

import sys
from pathlib import Path

import click

from littoral.commands.output import JSON, Group, emit
from littoral.sizes import size
from littoral_console.figures import many
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

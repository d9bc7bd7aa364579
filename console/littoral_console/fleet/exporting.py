"""``littoral fleet export``: onto a stick, what devices that reach no console shall run."""

from pathlib import Path

import click

from littoral import durable
from littoral.bundle.manifest import check_id
from littoral.commands.output import JSON, emit
from littoral_console.figures import many
from littoral_console.fleet.asking import TO, console

_PUBLIC = 0o644  # it is signed, and no secret


@click.command(epilog="Example: littoral fleet export /media/stick --to site=mine --days 180")
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path, file_okay=False))
@TO
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="For how long the devices follow it.",
)
@JSON
def export(target: Path, *, to: str, days: int, as_json: bool) -> None:
    """Write to TARGET what each device shall run, signed for it alone.

    The releases themselves: littoral repo export, before or after.
    """
    found = console().post("exports", {"to": to, "days": days})["documents"]
    folder = target / "director"
    with durable.storage_errors(folder):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for one in found:
        path = folder / f"{check_id('device', one['device'])}.json"
        durable.replace(path, one["document"].encode(), mode=_PUBLIC)
    names = [one["device"] for one in found]
    whole = (target / "metadata" / "timestamp.json").is_file()
    onward = "On the device: littoral install" if whole else "Next: littoral repo export DIR"
    text = (
        f"{folder}: what {many(len(names), 'device')} shall run, for {days} days: "
        f"{', '.join(names)}\n{onward} {target}"
    )
    emit({"devices": names, "days": days}, as_json=as_json, text=text)

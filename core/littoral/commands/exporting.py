"""``littoral repo export``: writes a medium for devices that reach nobody."""

from datetime import timedelta
from pathlib import Path

import click

from littoral.commands.output import JSON, emit
from littoral.errors import MisuseError
from littoral.sizes import size


@click.command(
    epilog="Example: littoral repo export repo/ /media/stick --online console/keys --model digits:7"
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
@click.option(
    "--online",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the console's keys: snapshot and timestamp.",
)
@click.option(
    "--model", "models", metavar="M[:R]", multiple=True, help="This model, or release, alone."
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="For how long devices take something from it.",
)
@JSON
def export(
    *, folder: Path, target: Path, online: Path, models: tuple[str, ...], days: int, as_json: bool
) -> None:
    """Write the repository DIR to TARGET, a stick or a share, for devices that reach nobody.

    It gets a snapshot and a timestamp of its own. What the devices shall run is added where the
    director's key is: littoral fleet export TARGET.
    """
    from littoral.trust import exporting

    done = exporting.export(
        folder,
        target,
        online=online,
        wanted=_wanted(models) if models else None,
        life=timedelta(days=days),
    )
    text = (
        f"{target}: {', '.join(done.releases) or 'no release'}; {size(done.copied_bytes)} copied\n"
        f"Devices take it until {done.expires:%Y-%m-%d}, when {done.ends_first} ends.\n"
        f"Next: littoral fleet export {target}"
    )
    value = {
        "releases": done.releases,
        "copied_bytes": done.copied_bytes,
        "expires": done.expires.isoformat(),
        "ends_first": done.ends_first,
    }
    emit(value, as_json=as_json, text=text)


def _wanted(words: tuple[str, ...]) -> dict[str, set[int]]:
    """Return the releases that are named by model; an empty set means all of them."""
    whole = {word for word in words if ":" not in word}
    found: dict[str, set[int]] = {model: set() for model in whole}
    for word in set(words) - whole:
        model, _, release = word.partition(":")
        if not release.isdecimal():
            raise MisuseError(f"expected MODEL or MODEL:RELEASE, found {word!r}")
        if model not in whole:
            found.setdefault(model, set()).add(int(release))
    return found

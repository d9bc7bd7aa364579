"""``littoral repo found|draft``: what several people are to sign, prepared without secrets."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from littoral.commands.ceremony import say
from littoral.commands.output import JSON

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from littoral.trust.ceremony import Changes
    from littoral.trust.drafts import Draft

_PATH: Final = click.Path(path_type=Path)


def _pairs(of: Callable[[str], object]) -> Callable[..., object]:
    """Return what reads ``ROLE=WHAT`` of an option, each WHAT turned into something by ``of``."""

    def read(
        ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
    ) -> tuple[tuple[str, object], ...]:
        found = [(role, what) for role, _, what in (one.partition("=") for one in values)]
        try:
            if all(role and what for role, what in found):
                return tuple((role, of(what)) for role, what in found)
        except ValueError as e:
            raise click.BadParameter(str(e), ctx, param) from e
        raise click.BadParameter(f"expected ROLE=…, found {' '.join(values)}", ctx, param)

    return read


_THRESHOLD: Final = click.option(
    "--threshold",
    "thresholds",
    metavar="ROLE=N",
    multiple=True,
    callback=_pairs(int),
    help="How many of the role's keys must sign.",
)


@click.command(
    epilog="Example: littoral repo found repo/ --fleet shore --root anna.pub --root bert.pub "
    "--root carl.pub --targets dora.pub --offline usb/ --online console/keys --to ceremony/"
)
@click.argument("folder", metavar="DIR", type=_PATH)
@click.option("--fleet", metavar="NAME", required=True, help="Whose devices believe it.")
@click.option(
    "--root",
    metavar="PUB",
    multiple=True,
    required=True,
    type=_PATH,
    help="A key of root, for each person one; its owner is called as the file.",
)
@click.option(
    "--targets",
    metavar="PUB",
    multiple=True,
    required=True,
    type=_PATH,
    help="A key of targets, which names whose releases count; likewise.",
)
@_THRESHOLD
@click.option("--offline", required=True, type=_PATH, help="Folder for the device CA's key.")
@click.option("--online", required=True, type=_PATH, help="Folder for the console's keys.")
@click.option("--to", required=True, type=_PATH, help="Folder in which the drafts are written.")
@JSON
def found(
    folder: Path,
    *,
    fleet: str,
    root: tuple[Path, ...],
    targets: tuple[Path, ...],
    thresholds: tuple[tuple[str, int], ...],
    offline: Path,
    online: Path,
    to: Path,
    as_json: bool,
) -> None:
    """Draft the first root and targets of DIR, whose keys several people made, each at home.

    Each gave the public half (littoral keys public). More than half of a role's keys must sign.
    """
    from littoral.trust import founding
    from littoral.trust.drafts import save

    drafts = founding.draft(
        folder,
        {"root": [_public_key(path) for path in root], "targets": list(map(_public_key, targets))},
        thresholds=dict(thresholds),
        offline=offline,
        online=online,
        fleet=fleet,
    )
    say([(save(to, one), one) for one in drafts], as_json=as_json)


@click.command(
    epilog="Example: littoral repo draft repo/ root --trust root=eve.pub --revoke root=bert "
    "--to ceremony/"
)
@click.argument("folder", metavar="DIR", type=_PATH)
@click.argument("role")
@click.option(
    "--trust",
    metavar="ROLE=PUB",
    multiple=True,
    callback=_pairs(Path),
    help="Trust the key in PUB with ROLE; its owner is called as the file.",
)
@click.option(
    "--revoke",
    metavar="ROLE=KEY",
    multiple=True,
    callback=_pairs(str),
    help="Trust a key no more: its owner, or the beginning of its id.",
)
@_THRESHOLD
@click.option(
    "--device-ca", metavar="CRT", type=_PATH, help="Anchor another device CA, where ROLE is root."
)
@click.option(
    "--bundle",
    type=_PATH,
    help="A release as it is, where ROLE is its model; with encodings: littoral publish --to.",
)
@click.option("--floor", type=click.IntRange(min=1), help="Where ROLE is a model.")
@click.option("--force", is_flag=True, help="Also a floor above every release.")
@click.option("--days", type=click.IntRange(min=1), help="How long it lives, if not as usual.")
@click.option("--to", required=True, type=_PATH, help="Folder in which the drafts are written.")
@JSON
def draft(
    folder: Path,
    role: str,
    *,
    trust: tuple[tuple[str, Path], ...],
    revoke: tuple[tuple[str, str], ...],
    thresholds: tuple[tuple[str, int], ...],
    device_ca: Path | None,
    days: int | None,
    to: Path,
    as_json: bool,
    **of_model: Any,  # noqa: ANN401
) -> None:
    """Write the next version of ROLE, for others to sign. No secret key is needed.

    ROLE is root, targets or a model. Of root the roles are root, targets, snapshot, timestamp,
    director and time; of targets they are the models. Without any change it lives longer.
    """
    from littoral.trust import ceremony
    from littoral.trust.drafts import save

    life = None if days is None else timedelta(days=days)
    changes = ceremony.Changes(
        trust=tuple((name, _public_key(path)) for name, path in trust),
        revoke=revoke,
        thresholds=dict(thresholds),
        device_ca=None if device_ca is None else _root_of(device_ca),
        life=life,
    )
    drafts = _drafted(folder, role, changes, of_model)
    say([(save(to, one), one) for one in drafts], as_json=as_json)


def _drafted(
    folder: Path, role: str, changes: "Changes", of_model: dict[str, Any]
) -> tuple["Draft", ...]:
    from littoral.errors import MisuseError
    from littoral.trust import ceremony, releasing

    now = datetime.now(UTC)
    if role in {"root", "targets"}:
        if any(of_model.values()):
            raise MisuseError(f"{role}: --bundle, --floor and --force are for a model's metadata")
        if role == "root":
            return (ceremony.draft_root(folder, changes, now=now),)
        return ceremony.draft_targets(folder, changes, now=now)
    if changes != replace(ceremony.Changes(), life=changes.life):
        raise MisuseError(f"{role}: whom to trust with it is said in a draft of targets")
    return (releasing.draft_model(folder, role, **of_model, life=changes.life, now=now),)


def _root_of(path: Path) -> str:
    """Return the digest of the authority in ``path``, the last of its chain."""
    from littoral.errors import MalformedError, MisuseError
    from littoral.trust.identity import digest, load_pem

    try:
        return digest(load_pem(path.read_text(), str(path))[-1])
    except (OSError, ValueError, MalformedError) as e:
        raise MisuseError(f"{path}: expected an authority's certificate: {e}") from e


def _public_key(path: Path) -> "Key":
    """Return the public key in ``path``, called as the file."""
    from securesystemslib.signer import SSlibKey

    from littoral.trust.drafts import OWNER
    from littoral.trust.keyfiles import read

    key = read(path).public
    return SSlibKey(key.keyid, key.keytype, key.scheme, key.keyval, {OWNER: path.stem})

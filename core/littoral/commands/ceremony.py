"""``littoral repo review|sign|collect``: several people sign one version, each at home."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from littoral.commands.output import JSON, emit

if TYPE_CHECKING:
    from littoral.trust.drafts import Draft

_PATH: Final = click.Path(path_type=Path)
_DRAFTS: Final = click.argument("drafts", metavar="DRAFT…", nargs=-1, required=True, type=_PATH)


@click.command(epilog="Example: littoral repo review ceremony/")
@_DRAFTS
@JSON
def review(drafts: tuple[Path, ...], *, as_json: bool) -> None:
    """Show all that each DRAFT says, what is new in it, and whose signatures are missing."""
    from littoral.trust.drafts import find, load

    say([(path, load(path)) for path in find(drafts)], as_json=as_json)


@click.command(epilog="Example: littoral repo sign ceremony/ --key usb/anna.pem")
@_DRAFTS
@click.option("--key", required=True, type=_PATH, help="A file of littoral keys.")
@click.option("--yes", is_flag=True, help="It was read before; do not ask.")
@JSON
def sign(drafts: tuple[Path, ...], key: Path, *, yes: bool, as_json: bool) -> None:
    """Show all that each DRAFT says, and sign it if you agree. Needs no network, no repository.

    In a folder, those are signed that ask for this key.
    """
    from littoral.errors import MisuseError
    from littoral.trust import keyfiles
    from littoral.trust.drafts import find, load, write

    keyid = keyfiles.read(key).public.keyid
    found = [(path, load(path)) for path in find(drafts)]
    asked = [(path, one) for path, one in found if one.wants(keyid)]
    if not asked:
        raise MisuseError(f"{key}: none of the drafts asks for its signature ({keyid[:12]})")
    if not yes:
        if as_json:
            raise MisuseError("with --json nobody is asked; add --yes when it was reviewed")
        say(asked, as_json=False)
        click.confirm(f"\nSign {', '.join(one.name for _, one in asked)} with {key}?", abort=True)
    signer = keyfiles.load_signer(key)
    signed = [(path, one.signed_by(signer)) for path, one in asked]
    for path, one in signed:
        write(path, one)
    if as_json or yes:
        say(signed, as_json=as_json)
    else:
        click.echo(f"signed; next: littoral repo collect DIR {' '.join(map(str, drafts))}")


@click.command(epilog="Example: littoral repo collect repo/ anna/ bert/")
@click.argument("folder", metavar="DIR", type=_PATH)
@_DRAFTS
@JSON
def collect(folder: Path, drafts: tuple[Path, ...], *, as_json: bool) -> None:
    """Put what enough people have signed into the repository DIR, all of it or nothing.

    Copies of a draft that different people signed are put together.
    """
    from littoral.trust.collecting import collect as put
    from littoral.trust.drafts import find, load

    done = put(folder, [load(path) for path in find(drafts)], now=datetime.now(UTC))
    value = {"collected": [{"role": d.role, "version": d.metadata.signed.version} for d in done]}
    roles = ", ".join(f"{d.role} {d.metadata.signed.version}" for d in done)
    emit(value, as_json=as_json, text=f"{folder}: {roles}; check it: littoral repo verify {folder}")


def say(drafts: Iterable[tuple[Path, "Draft"]], *, as_json: bool) -> None:
    """Print what drafts say, for people or programs."""
    found = list(drafts)
    value = {"drafts": [plain(path, one) for path, one in found]}
    emit(value, as_json=as_json, text="\n\n".join(said(path, one) for path, one in found))


def said(path: Path, draft: "Draft") -> str:
    """Return what the draft in ``path`` says, for people."""
    from littoral.trust.review import lines

    return "\n".join((f"{path}", *(f"  {line}" for line in lines(draft, now=datetime.now(UTC)))))


def plain(path: Path, draft: "Draft") -> dict[str, Any]:
    """Return what the draft in ``path`` is, for programs."""
    return {
        "path": path,
        "role": draft.role,
        "version": draft.metadata.signed.version,
        "expires": draft.metadata.signed.expires.isoformat(),
        "complete": draft.is_complete,
        "quorums": [
            {
                "whose": quorum.whose,
                "threshold": quorum.threshold,
                "signed": sorted(quorum.signed),
                "missing": quorum.missing,
                "unsigned": sorted(quorum.unsigned),
            }
            for quorum in draft.quorums
        ],
    }

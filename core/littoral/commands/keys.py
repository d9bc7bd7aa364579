"""``littoral keys``: keys in files, under a passphrase, or on tokens."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from littoral.commands.output import JSON, Group, emit

if TYPE_CHECKING:
    from littoral.trust.keyfiles import KeyFile

_ADDRESS: Final = "'pkcs11:token=anna;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so'"
_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group(cls=Group, epilog="Example: littoral keys new offline/digits-2.pem")
def keys() -> None:
    """Make keys, protect them, and tell one from another."""


@keys.command(epilog="Example: littoral keys new usb/anna.pem --passphrase")
@_FILE
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ed25519", "p256"]),
    default="ed25519",
    show_default=True,
    help="Ed25519 signs metadata; P-256 is for TLS, devices and hardware tokens.",
)
@click.option("--passphrase", is_flag=True, help="Put it under a passphrase, which is asked.")
@click.option(
    "--token",
    metavar="ADDRESS",
    help="Make it on a token instead, which it never leaves; FILE keeps the address (P-256).",
)
@JSON
def new(file: Path, kind: str, *, passphrase: bool, token: str | None, as_json: bool) -> None:
    """Make a secret key in FILE (PEM, 0600), which must not be there."""
    from littoral.trust import keyfiles, passphrases

    if token is not None:
        made = keyfiles.new_on_token(file, token)
    else:
        found = passphrases.new(str(file)) if passphrase else None
        made = keyfiles.new(file, "p256" if kind == "p256" else "ed25519", passphrase=found)
    _say(made, as_json=as_json)


@keys.command(epilog=f"Example: littoral keys link usb/anna.pkcs11 {_ADDRESS}")
@_FILE
@click.argument("address")
@JSON
def link(file: Path, address: str, *, as_json: bool) -> None:
    """Write into FILE where on a token a key is; FILE then signs as any other key."""
    from littoral.trust import keyfiles

    _say(keyfiles.link(file, address), as_json=as_json)


@keys.command(epilog="Example: littoral keys protect usb/*.pem")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--none", is_flag=True, help="Take the passphrase away: plain, and 0600.")
@JSON
def protect(files: tuple[Path, ...], *, none: bool, as_json: bool) -> None:
    """Put the keys in each FILE under a new passphrase, the same for all of them."""
    from littoral.trust import keyfiles, passphrases

    for file in files:
        keyfiles.check_secret(file)
    passphrase = None if none else passphrases.new(", ".join(map(str, files)))
    done = [keyfiles.protect(file, passphrase) for file in files]
    value = {"keys": [_plain(one) for one in done]}
    emit(value, as_json=as_json, text="\n".join(map(_line, done)))


@keys.command(epilog="Example: littoral keys show offline/targets-1.pem")
@_FILE
@JSON
def show(file: Path, *, as_json: bool) -> None:
    """Print the key id and the public half of the key in FILE; never the secret."""
    from littoral.trust import keyfiles

    found = keyfiles.read(file)
    value = {**_plain(found), "public": found.public.to_dict()}
    emit(value, as_json=as_json, text=_line(found))


@keys.command(epilog="Example: littoral keys public usb/anna.pem --to anna.pub")
@_FILE
@click.option(
    "--to", metavar="PUB", type=click.Path(path_type=Path), help="Write it there; else it is said."
)
@JSON
def public(file: Path, to: Path | None, *, as_json: bool) -> None:
    """Hand out the public half of the key in FILE (PEM), for whoever shall trust it."""
    from littoral import durable
    from littoral.trust import keyfiles

    found = keyfiles.read(file)
    if to is not None:
        durable.replace(to, found.pem, mode=0o644)
    value = {**_plain(found), "pem": found.pem.decode(), "to": to}
    text = found.pem.decode().rstrip() if to is None else f"{to}: {found.public.keyid}"
    emit(value, as_json=as_json, text=text)


def _say(made: "KeyFile", *, as_json: bool) -> None:
    emit(_plain(made), as_json=as_json, text=f"{made.path}: {made.public.keyid}")


def _plain(found: "KeyFile") -> dict[str, object]:
    return {
        "path": found.path,
        "type": found.kind,
        "keyid": found.public.keyid,
        "how": found.how,
    }


def _line(found: "KeyFile") -> str:
    how = {
        "plain": "in the file",
        "passphrase": "under a passphrase",
        "token": "on a token",
        "public": "the public half alone",
    }[found.how]
    return f"{found.public.keyid}  {found.kind}, {how}"

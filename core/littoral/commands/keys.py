"""``littoral keys``: secret keys in files."""

from pathlib import Path

import click

from littoral.commands.output import JSON, Group, emit


@click.group(cls=Group, epilog="Example: littoral keys new offline/digits-2.pem")
def keys() -> None:
    """Make keys, and tell one from another."""


@keys.command(epilog="Example: littoral keys new offline/digits-2.pem --type p256")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ed25519", "p256"]),
    default="ed25519",
    show_default=True,
    help="Ed25519 signs metadata; P-256 is for TLS, devices and hardware tokens.",
)
@JSON
def new(file: Path, kind: str, *, as_json: bool) -> None:
    """Make a secret key in FILE (PEM, 0600), which must not be there."""
    from littoral.trust.keys import load_signer, new_key

    new_key(file, "p256" if kind == "p256" else "ed25519")
    keyid = load_signer(file).public_key.keyid
    emit({"path": file, "type": kind, "keyid": keyid}, as_json=as_json, text=f"{file}: {keyid}")


@keys.command(epilog="Example: littoral keys show offline/targets-1.pem")
@click.argument("file", type=click.Path(path_type=Path))
@JSON
def show(file: Path, *, as_json: bool) -> None:
    """Print the key id and the public half of the key in FILE; never the secret."""
    from littoral.trust.keys import kind, load_private, load_signer

    public = load_signer(file).public_key
    found = kind(load_private(file))
    value = {"path": file, "type": found, "keyid": public.keyid, "public": public.to_dict()}
    emit(value, as_json=as_json, text=f"{public.keyid}  {found}")

"""``littoral console``: run the fleet's console, back it up, bring it back."""

import logging
import sys
from pathlib import Path

import click

from littoral import notify
from littoral.commands.kinds import Finite
from littoral.commands.output import JSON, Group, emit
from littoral.journal_log import OneLine
from littoral.sizes import size
from littoral_console.figures import many
from littoral_console.options import REPLICAS, Options, Ready


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="Example: littoral console --data /var/lib/littoral-console --http 127.0.0.1:8080",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="LITTORAL_CONSOLE_DATA",
    default=Path("littoral-console"),
    show_default=True,
    help="The console's folder; DATA/keys holds its online keys.",
)
@click.option("--http", default="127.0.0.1:8080", show_default=True, help="For people.")
@click.option("--devices", default="127.0.0.1:8443", show_default=True, help="For devices: TLS.")
@click.option(
    "--broker",
    default="auto",
    show_default=True,
    help="auto starts Mosquitto; none; or mqtts://HOST:PORT of another one.",
)
@click.option("--database", help="sqlite:///FILE or postgresql://…  [default: in DATA]")
@click.option("--blobs", help="A folder or s3://BUCKET/PREFIX for blobs  [default: in DATA]")
@click.option(
    "--blob-rate",
    type=Finite(min=0),
    default=0.0,
    help="Bytes a second of files over the broker, to all devices together; 0: as fast as it goes.",
)
@click.option("--name", "names", multiple=True, help="A name or address of this machine; repeat.")
@click.option(
    "--replica",
    type=click.Choice(REPLICAS),
    default=REPLICAS[0],
    show_default=True,
    help="Which of several consoles on one database and broker this one is.",
)
@click.option("--json", "as_json", is_flag=True, help="Say in one line of JSON where it listens.")
@click.option("--verbose", is_flag=True, help="Log more.")
@click.pass_context
def console(
    ctx: click.Context,
    *,
    data: Path,
    http: str,
    devices: str,
    broker: str,
    database: str | None,
    blobs: str | None,
    blob_rate: float,
    names: tuple[str, ...],
    replica: str,
    as_json: bool,
    verbose: bool,
) -> None:
    """Run the fleet's console: pages, REST, devices' listener, broker."""
    ctx.obj = data = data.absolute()
    if ctx.invoked_subcommand is not None:
        return
    from littoral_console import server

    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, handlers=[log])
    options = Options(
        data=data,
        http=http,
        devices=devices,
        broker=broker,
        database=database,
        blobs=blobs,
        names=names,
        replica=replica,
        blob_rate=blob_rate,
    )
    say = _say_json if as_json else _say

    def ready(where: Ready) -> None:
        say(where)
        notify.tell("READY=1")

    server.run(options, ready)


@console.command(epilog="Example: littoral console --data DATA backup fleet.tar --keys")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--keys", is_flag=True, help="Also the online keys: whoever has FILE can sign.")
@JSON
@click.pass_obj
def backup(data: Path, *, file: Path, keys: bool, as_json: bool) -> None:
    """Write database, repository and TLS keys into FILE; the console may be running."""
    from littoral_console import backup as backups

    saved = backups.save(data, file.absolute(), keys=keys)
    emit(saved, as_json=as_json, text=f"{many(saved.files, 'file')}, {size(saved.bytes)} in {file}")


@console.command(epilog="Example: littoral console --data NEW restore fleet.tar")
@click.argument("file", type=click.Path(path_type=Path))
@JSON
@click.pass_obj
def restore(data: Path, *, file: Path, as_json: bool) -> None:
    """Make the console of FILE in DATA, which holds none; bring its keys, if FILE has none."""
    from littoral_console import backup as backups

    restored = backups.restore(data, file.absolute())
    missing = "" if restored.keys else f"; now copy the online keys to {data / 'keys'}"
    emit(restored, as_json=as_json, text=f"{many(restored.files, 'file')} in {data}{missing}")


def _say_json(ready: Ready) -> None:
    click.echo(ready.to_json())
    sys.stdout.flush()


def _say(ready: Ready) -> None:
    click.echo(f"people   {ready.http}")
    click.echo(f"devices  {ready.devices}")
    click.echo(f"broker   {ready.broker or f'none: {ready.note}'}")
    if ready.setup is not None:
        click.echo(f"first login, once: {ready.setup}")
    sys.stdout.flush()

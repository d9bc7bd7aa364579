"""The device's commands: enroll, run, agent, status."""

import json
import logging
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Final

import click

from littoral import durable, journal_log
from littoral.commands.kinds import Finite
from littoral.commands.output import JSON, emit
from littoral.errors import MisuseError, StorageError
from littoral.tree import Tree
from littoral_agent import settings as configured

DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, readable=False),
    default=configured.data_folder,
    show_default="$LITTORAL_DATA, else /var/lib/littoral",
    help="The device's folder.",
)
READY: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON when ready."
)


@click.command(epilog="Example: littoral agent --data /var/lib/littoral")
@DATA
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="agent.toml; default: the one in --data, if there is one.",
)
@READY
def agent(data: Path, settings: Path | None, as_json: bool) -> int:
    """Run the device's control plane: downloads, updates, reports."""
    from littoral_agent.agent import main

    tree = Tree(data)
    found = configured.read(tree, settings)
    journal_log.set_up("littoral-agent", form="%(levelname)s %(message)s")
    ready = {"ready": True, "pid": os.getpid(), "data": str(data)}
    return main(tree, found, ready=(lambda: _say(ready)) if as_json else None)


@click.command(epilog="Example: littoral enroll https://console:8443 --token lit1_… --name pi-7")
@click.argument("url", required=False)
@click.option("--token", help="As the console gave it; it works once.")
@click.option(
    "--credential",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with both, as 'littoral fleet tokens new --credential' prints it.",
)
@click.option("--name", help="What the device is to be called; default: the token's, the host's.")
@click.option(
    "--wait",
    "wait_s",
    type=Finite(min=0),
    help="Seconds to wait for an operator; default: for ever.",
)
@DATA
@JSON
def enroll(
    *,
    url: str | None,
    token: str | None,
    credential: Path | None,
    name: str | None,
    wait_s: float | None,
    data: Path,
    as_json: bool,
) -> None:
    """Make this board a device of a fleet.

    Where an operator has to approve, it waits; to stop it is safe, the same command goes on later.
    """
    from littoral_agent import owner
    from littoral_agent.credential import Credential, read
    from littoral_agent.enroll import enroll as enrol
    from littoral_agent.waiting import Progress

    if credential is not None and url is None and token is None:
        given = read(credential)
    elif credential is None and url is not None and token is not None:
        given = Credential(url=url, token=token)
    else:
        raise MisuseError("expected URL and --token, or --credential alone")
    with durable.storage_errors(data):
        owner.become(data)
    before = _incarnation(Tree(data))
    with Progress(sys.stderr) as progress:
        found = enrol(
            given.url,
            given.token,
            Tree(data),
            name=name or given.name,
            proxy=configured.read(Tree(data)).through,
            wait_s=wait_s,
            told=progress.told,
        )
    text = f"{found.device} is a device of the fleet {found.fleet!r} now."
    if found.incarnation > 1 and before is None:
        text += (
            f"\nThis board was enrolled before, and not in {data}: who it was is heard no more. "
            f"If that still runs in another folder, stop it there."
        )
    if not _agent_runs(Tree(data)):
        text += f"\nRun it: littoral run --data {data}"
    emit(found, as_json=as_json, text=text)


def _incarnation(tree: Tree) -> int | None:
    """Return which of this board's incarnations lies in ``tree``, None where none can be read."""
    from littoral_agent import identity

    try:
        held = identity.of(tree).read()
    except StorageError:
        return None
    return None if held is None else held.incarnation


def _agent_runs(tree: Tree) -> bool:
    from littoral_agent.state import live

    return live(tree) is not None


@click.command(epilog="Example: littoral run --data /var/lib/littoral --http 127.0.0.1:8501")
@DATA
@click.option("--http", metavar="HOST:PORT", help="Where serve answers clients.")
@READY
def run(data: Path, http: str | None, as_json: bool) -> int:
    """Run agent and serve, and keep them running, where there is no systemd."""
    from littoral_agent import both
    from littoral_agent.supervise import Supervisor

    configured.read(Tree(data))
    both.check(Tree(data), http)
    return Supervisor(
        both.programs(data, http, tell=as_json),
        say=lambda line: click.echo(line, err=True),
        hear=both.Readiness(data, tell=_say).hear,
    ).run()


@click.command(epilog="Example: littoral status --data /var/lib/littoral --json")
@DATA
@JSON
def status(data: Path, as_json: bool) -> None:
    """Show who the device is, what runs on it, and whether its console is heard."""
    from littoral_agent.showing import lines
    from littoral_agent.state import look

    if not data.is_dir():
        raise MisuseError(f"{data}: no such folder; name the device's with --data")
    found = look(Tree(data))
    whole = {f.name: getattr(found, f.name) for f in fields(found)}
    emit({**whole, "data": data}, as_json=as_json, text="\n".join(lines(found)))


@click.command(epilog="Example: littoral install /media/stick")
@click.argument("medium", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--wait",
    "wait_s",
    type=Finite(0, 3600),
    default=120.0,
    show_default=True,
    help="Seconds to wait until what is on it was tried.",
)
@DATA
@JSON
def install(*, medium: Path, wait_s: float, data: Path, as_json: bool) -> int:
    """Take releases from the folder DIR: a stick, or a share, as 'littoral repo export' makes it.

    The agent that runs here takes them, by the same rules as from the network; where none runs,
    this command does, and the agent goes on when it starts.
    """
    from littoral_agent import install as installing

    tree = Tree(data)
    if _agent_runs(tree):
        taken = installing.hand_over(tree, medium, wait_s=wait_s)
    else:
        found = configured.read(tree)
        logging.getLogger().addHandler(logging.NullHandler())  # what matters of it is answered
        taken = installing.by_itself(tree, found, medium, wait_s=wait_s)
    emit(taken, as_json=as_json, text=installing.text(taken))
    return 0 if taken.well else 1


def _say(ready: dict[str, object]) -> None:
    click.echo(json.dumps(ready))

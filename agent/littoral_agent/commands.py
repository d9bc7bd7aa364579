"""The device's commands: enroll, run, agent, status."""

import logging
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from littoral import addresses, records
from littoral.commands.output import JSON, emit, table
from littoral.errors import MisuseError
from littoral.tree import Tree
from littoral_agent import settings as configured

if TYPE_CHECKING:
    from littoral_agent.state import Found, Live

DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=configured.data_folder,
    show_default="$LITTORAL_DATA, else /var/lib/littoral",
    help="The device's folder.",
)
HTTP: Final = "127.0.0.1:8501"  # where serve listens if nobody says


@click.command(epilog="Example: littoral agent --data /var/lib/littoral")
@DATA
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="agent.toml; default: the one in --data, if there is one.",
)
def agent(data: Path, settings: Path | None) -> int:
    """Run the device's control plane: downloads, updates, reports."""
    from littoral_agent.agent import main

    tree = Tree(data)
    found = configured.read(tree, settings)
    log_to_stderr()
    return main(tree, found)


@click.command(epilog="Example: littoral enroll https://console:8443 --token lit1_… --name pi-7")
@click.argument("url")
@click.option("--token", required=True, help="As the console gave it; it works once.")
@click.option("--name", help="What the device is to be called; default: the host's name.")
@DATA
@JSON
def enroll(url: str, token: str, name: str | None, data: Path, as_json: bool) -> None:
    """Make this board a device of a fleet."""
    from littoral_agent.enroll import enroll as enrol

    found = enrol(url, token, Tree(data), name=name)
    text = (
        f"{found.device} is a device of the fleet {found.fleet!r} now.\n"
        f"Run it: littoral run --data {data}"
    )
    emit(found, as_json=as_json, text=text)


@click.command(epilog="Example: littoral run --data /var/lib/littoral --http 127.0.0.1:8501")
@DATA
@click.option("--http", metavar="HOST:PORT", help="Where serve answers clients.")
def run(data: Path, http: str | None) -> int:
    """Run agent and serve, and keep them running, where there is no systemd."""
    from littoral_agent.supervise import Program, Supervisor, check_free

    configured.read(Tree(data))
    _check_address("--http", http or HTTP)
    check_free(http or _serves_own_address(Tree(data)))
    python, folder = sys.executable, ("--data", str(data))
    listen = ("--http", http) if http is not None else ()
    programs = (
        Program("serve", (python, "-m", "littoral_serve", *folder, *listen)),
        Program("agent", (python, "-m", "littoral_agent", *folder)),
    )
    return Supervisor(programs, lambda line: click.echo(line, err=True)).run()


@click.command(epilog="Example: littoral status --data /var/lib/littoral --json")
@DATA
@JSON
def status(data: Path, as_json: bool) -> None:
    """Show who the device is, what runs on it, and whether its console is heard."""
    from littoral_agent.state import look

    if not data.is_dir():
        raise MisuseError(f"{data}: no such folder; name the device's with --data")
    found = look(Tree(data))
    emit(records.plain(found) | {"data": data}, as_json=as_json, text=_words(found))


def _words(found: "Found") -> str:
    who = found.enrolment
    rows = [
        ("device", f"{who.device}, incarnation {who.incarnation}" if who else "not enrolled"),
        ("fleet", who.fleet if who else "-"),
        ("console", who.url if who else "-"),
        ("agent", _agent_words(found.agent)),
        ("serve", f"on {found.serve.http}, process {found.serve.pid}" if found.serve else "down"),
        ("document", str(found.director) if found.director else "none yet"),
    ]
    lines = [f"{name:10}{value}" for name, value in rows]
    lines += [
        f"{model}: its journal cannot be read; the agent proves the model again"
        for model in found.unreadable
    ]
    if found.models:
        heads = ("model", "state", "serves", "good", "candidate", "variant")
        models = [
            (m.model, m.state, m.release, m.good, m.candidate, m.variant) for m in found.models
        ]
        lines += ["", table(heads, models)]
    return "\n".join(lines)


def log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")


def _agent_words(live: "Live | None") -> str:
    if live is None:
        return "down"
    if live.channel is None:
        return f"process {live.pid}, not enrolled"
    return f"process {live.pid}, {live.channel} {'connected' if live.up else 'not connected'}"


def _check_address(setting: str, where: str) -> None:
    try:
        addresses.split(where)
    except ValueError as e:
        raise MisuseError(f"{setting}: {e}") from e


def _serves_own_address(tree: Tree) -> str:
    """Return where serve will listen by its own settings, which are its own to judge."""
    try:
        found = tomllib.loads((tree.root / "serve.toml").read_text()).get("http")
    except (OSError, ValueError):
        return HTTP
    if not isinstance(found, str):
        return HTTP
    _check_address("serve.toml: http", found)
    return found

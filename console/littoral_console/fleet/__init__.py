"""``littoral fleet``: the fleet from a terminal, over the console's REST API.

One module for each group of commands; this one only puts them together.
"""

import click

from littoral.commands.output import Group
from littoral_console.fleet.claims import claims
from littoral_console.fleet.devices import devices, label, status
from littoral_console.fleet.exporting import export
from littoral_console.fleet.importing import import_
from littoral_console.fleet.login import login
from littoral_console.fleet.people import api_tokens, users
from littoral_console.fleet.releases import releases
from littoral_console.fleet.reports import alarms, audit, history, telemetry
from littoral_console.fleet.rollouts import push, rollouts
from littoral_console.fleet.tokens import tokens


@click.group(cls=Group, epilog="Example: littoral fleet push digits:2 --to site=berlin --wait 600")
def fleet() -> None:
    """Look at devices and releases, push, and see what became of it."""


for _command in (
    login,
    status,
    alarms,
    devices,
    label,
    tokens,
    claims,
    releases,
    export,
    import_,
    push,
    rollouts,
    history,
    telemetry,
    audit,
    users,
    api_tokens,
):
    fleet.add_command(_command)

"""``littoral fleet push|rollouts``: ask devices for a release, and see what became of it."""

import click

from littoral.commands.output import JSON, emit
from littoral.errors import MisuseError
from littoral_console.fleet.asking import LIMIT, TO, console
from littoral_console.pushing import push as push_and_wait
from littoral_console.pushing import words
from littoral_console.show import ago, table


@click.command(epilog='Example: littoral fleet push digits:2 --to "site=berlin" --wait 600')
@click.argument("release", metavar="MODEL:RELEASE")
@TO
@click.option("--force", is_flag=True, help="Also where no variant fits, or below the floor.")
@click.option(
    "--wait",
    "wait_s",
    type=float,
    help="Seconds to wait for outcomes; probation takes a device 300, by default.",
)
@JSON
def push(release: str, *, to: str, force: bool, wait_s: float | None, as_json: bool) -> None:
    """Ask devices for a release: a newer one, or an earlier one to go back on purpose.

    Exits with 1 when a device refused it or failed, and with its reason.
    """
    model, _, number = release.partition(":")
    if not number.isdigit():
        raise MisuseError(f"expected MODEL:RELEASE, as digits:2, found {release!r}")
    order = {"model": model, "release": int(number), "to": to, "force": force}
    push_and_wait(console(), order, wait_s=wait_s, as_json=as_json)


@click.command(epilog="Example: littoral fleet rollouts 7")
@click.argument("rollout", required=False)
@LIMIT
@JSON
def rollouts(rollout: str | None, *, limit: int, as_json: bool) -> None:
    """List the rollouts, or how each device of ROLLOUT fares; 'list' may be left out."""
    if rollout is not None and rollout != "list":
        if not (rollout.isascii() and rollout.isdigit()):
            raise MisuseError(
                f"expected the number of a rollout, found {rollout!r}; see: littoral fleet rollouts"
            )
        detail = console().get(f"rollouts/{rollout}")
        rows: list[tuple[object, ...]] = [
            (d["device"], words(d), ago(d["updated_ms"]), d["code"] or "", d["detail"])
            for d in detail["devices"]
        ]
        heads: tuple[str, ...] = ("device", "state", "since", "code", "why")
        emit(detail, as_json=as_json, text=table(heads, rows))
        return
    found = console().get("rollouts", limit=limit)
    rows = [
        (
            r["id"],
            f"{r['model']}:{r['release']}",
            r["selector"],
            " ".join(f"{n} {name}" for name, n in sorted(r["outcomes"].items())),
            r["created_by"],
            ago(r["created_ms"]),
        )
        for r in found
    ]
    heads = ("rollout", "release", "to", "devices", "by", "asked")
    emit({"rollouts": found}, as_json=as_json, text=table(heads, rows))

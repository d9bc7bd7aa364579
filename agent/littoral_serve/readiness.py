"""What serve tells whoever started it: that it is ready, and that it is alive."""

import asyncio
import json
import logging
from collections.abc import Mapping

from littoral import notify

log = logging.getLogger(__name__)


def say_ready(releases: Mapping[str, int], *, http: str, grpc: str | None, as_json: bool) -> None:
    """Say which releases answer at which addresses: on stdout ``as_json``, else in the log."""
    if as_json:
        said = {"ready": True, "http": http, "grpc": grpc, "models": dict(releases)}
        print(json.dumps(said), flush=True)  # noqa: T201
    else:
        what = ", ".join(f"{name} {number}" for name, number in releases.items())
        also = f" and by gRPC on {grpc}" if grpc else ""
        log.info("serving %s on http://%s%s", what or "no model yet", http, also)
    notify.tell("READY=1")


async def watchdog(listeners: list[asyncio.Server], chores: list[asyncio.Task[None]]) -> None:
    """Say that this process is alive, as long as it listens and does its chores."""
    every_s = notify.watchdog_s()
    while every_s is not None:
        if all(one.is_serving() for one in listeners) and not any(one.done() for one in chores):
            notify.tell("WATCHDOG=1")
        await asyncio.sleep(every_s)

"""gRPC's health: asked of all services together, and of each by its name."""

import asyncio

import pytest

from littoral_serve.protocols.rpc.answering import Call, Service
from littoral_serve.protocols.rpc.health import Health
from littoral_serve.running.refusals import UnknownServableError

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


def ask(health: Health, name: bytes) -> bytes:
    data = b"\x0a" + bytes((len(name),)) + name if name else b""
    return asyncio.run(health.check(Call(data, 0, 0)))


@pytest.mark.parametrize("ready", [True, False])
def test_each_service_is_as_ready_as_serve_is(ready: bool) -> None:  # noqa: FBT001 (a parameter)
    health = Health([Service("a.First", {}), Service("b.Second", {})], ready=lambda: ready)
    for name in (b"", b"a.First", b"b.Second"):
        assert ask(health, name) == (SERVING if ready else NOT_SERVING)


def test_what_is_no_service_of_this_server_is_unknown() -> None:
    health = Health([Service("a.First", {})])
    with pytest.raises(UnknownServableError, match="there is no service 'a'"):
        ask(health, b"a")

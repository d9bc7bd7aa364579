"""gRPC's listener: addresses, limits, statuses, deadlines and calls that are given up."""

import asyncio
import gc
import os
import socket
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from littoral.errors import BackendError, MisuseError, PortInUseError, StorageError
from littoral_serve.protocols.rpc import inference_messages as messages
from littoral_serve.protocols.rpc.answering import (
    Call,
    ForbiddenError,
    PreconditionError,
    Service,
    UnsupportedError,
)
from littoral_serve.protocols.rpc.decoding import decode
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.inference_service import InferenceService
from littoral_serve.protocols.rpc.listener import Limits, Listener
from littoral_serve.running.lane import Bounds
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    LeftError,
    OverloadedError,
    RefusalError,
    UnknownServableError,
)
from simulators.loaded import Doubling, loaded, models
from simulators.served import FIXTURES, Serve, serving

LIMITS = Limits(
    max_message_bytes=100_000, max_calls=8, receive_timeout_s=30, keep_alive_s=30, deadline_s=20
)
INFER = "inference.GRPCInferenceService/ModelInfer"


def run(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 30))


@asynccontextmanager
async def listening(
    *services: Service, limits: Limits = LIMITS, address: str = "127.0.0.1:0"
) -> AsyncIterator[aio.Channel]:
    listener = Listener(services, limits)
    bound = await listener.start(address)
    try:
        async with aio.insecure_channel(f"unix:{bound}" if bound[0] == "/" else bound) as channel:
            yield channel
    finally:
        await listener.stop(within_s=0)


async def ask(channel: Any, method: str, data: bytes = b"", **options: Any) -> bytes:
    return bytes(await channel.unary_unary(f"/{method}")(data, **options))


async def until(check: Callable[[], bool]) -> None:
    while not check():  # noqa: ASYNC110 (a lane says nothing of itself)
        await asyncio.sleep(0)


async def code(channel: Any, method: str, data: bytes = b"", **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as told:
        await ask(channel, method, data, **options)
    return told.value.code().name, told.value.details()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InvalidArgumentError("no"), "INVALID_ARGUMENT", "no"),
        (UnknownServableError("no"), "NOT_FOUND", "no"),
        (PreconditionError("no"), "FAILED_PRECONDITION", "no"),
        (ForbiddenError("no"), "PERMISSION_DENIED", "no"),
        (UnsupportedError("no"), "UNIMPLEMENTED", "no"),
        (OverloadedError("m", 3), "RESOURCE_EXHAUSTED", "m: 3 requests wait already"),
        (LateError("m", 1), "DEADLINE_EXCEEDED", "more than its deadline"),
        (LeftError(), "CANCELLED", ""),
        (BackendError("no"), "INTERNAL", "no"),
        (RefusalError("no"), "INTERNAL", "no"),
        (RuntimeError("a secret"), "INTERNAL", "a defect of this server: its log says more"),
    ],
)
def test_what_is_raised_becomes_a_status(error: Exception, status: str, words: str) -> None:
    async def fail(_: Call) -> bytes:
        raise error

    async def main() -> None:
        async with listening(Service("s", {"Fail": fail})) as channel:
            found, said = await code(channel, "s/Fail")
            assert found == status
            assert words in said
            assert (await code(channel, "s/Other"))[0] == "UNIMPLEMENTED"

    run(main)


@pytest.mark.parametrize("kind", ["unary_unary", "stream_stream"])
def test_what_a_refused_call_brought_is_forgotten_with_it(kind: str) -> None:
    """And not when the collector comes by: of 60 calls with 16 MB each it would be a gigabyte."""

    async def refuse(call: Call) -> bytes:
        raise OverloadedError("m", len(call.data))

    async def kept_bytes() -> None:
        ways = {"Refuse": refuse}
        streams = kind == "stream_stream"
        service = Service("s", {}, ways) if streams else Service("s", ways)
        async with listening(service) as channel:
            call = getattr(channel, kind)("/s/Refuse")
            for _ in range(40):
                with pytest.raises(aio.AioRpcError):
                    await (call(iter([bytes(90_000)])).read() if streams else call(bytes(90_000)))
            assert tracemalloc.get_traced_memory()[0] < 1_000_000

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        run(kept_bytes)
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_large_message_is_refused() -> None:
    async def size(call: Call) -> bytes:
        return b"%d" % len(call.data)

    async def main() -> None:
        async with listening(Service("s", {"Size": size})) as channel:
            assert await ask(channel, "s/Size", bytes(99_000)) == b"99000"
            assert (await code(channel, "s/Size", bytes(101_000)))[0] == "RESOURCE_EXHAUSTED"

    run(main)


def test_more_calls_than_may_run_are_told_to_come_again() -> None:
    async def main() -> None:
        go = asyncio.Event()
        begun = asyncio.Queue[None]()

        async def wait(_: Call) -> bytes:
            begun.put_nowait(None)
            await go.wait()
            return b"done"

        limits = Limits(
            max_message_bytes=9, max_calls=2, receive_timeout_s=30, keep_alive_s=30, deadline_s=20
        )
        async with listening(Service("s", {"Wait": wait}), limits=limits) as channel:
            held = [asyncio.ensure_future(ask(channel, "s/Wait")) for _ in range(2)]
            for _ in held:
                await begun.get()
            assert (await code(channel, "s/Wait"))[0] == "RESOURCE_EXHAUSTED"
            go.set()
            assert await asyncio.gather(*held) == [b"done"] * 2

    run(main)


def test_a_call_has_the_clients_deadline_or_the_servers() -> None:
    left: list[float] = []

    async def look(call: Call) -> bytes:
        left.append((call.deadline_ns - call.arrived_ns) / 1e9)
        return b""

    async def main() -> None:
        async with listening(Service("s", {"Look": look})) as channel:
            await ask(channel, "s/Look")
            await ask(channel, "s/Look", timeout=5)

    run(main)
    assert left[0] == 20
    assert 0 < left[1] < 6  # gRPC rounds it up


def test_what_fails_in_a_stream_ends_it_with_a_status() -> None:
    async def fail(_: Call) -> bytes:
        raise InvalidArgumentError("no")

    async def main() -> None:
        async with listening(Service("s", {}, {"Flow": fail})) as channel:
            call = channel.stream_stream("/s/Flow")(iter([b"1"]))
            with pytest.raises(grpc.RpcError) as told:
                await call.read()
            assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    run(main)


def request() -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
    raw = bytes(8)
    body = {"model_name": "m", "inputs": [tensor], "raw_input_contents": [raw]}
    return encode(messages.MODEL_INFER_REQUEST, body)


def test_a_full_queue_is_told_and_what_waits_is_answered() -> None:
    async def main() -> None:
        session = Doubling()
        found = models(loaded(session, bounds=Bounds(requests=1)))
        lane = found.get("m").lane  # type: ignore[union-attr]
        async with listening(InferenceService(found).service) as channel:
            async with lane.alone():
                first = asyncio.ensure_future(ask(channel, INFER, request()))
                await until(lambda: lane.waiting == 1)
                status, words = await code(channel, INFER, request())
                assert (status, words) == (
                    "RESOURCE_EXHAUSTED",
                    "m: 1 requests wait already; try again later",
                )
            assert decode(messages.MODEL_INFER_RESPONSE, await first)["model_name"] == "m"

    run(main)


def test_a_call_that_is_given_up_is_not_run() -> None:
    async def main() -> None:
        session = Doubling()
        found = models(loaded(session))
        lane = found.get("m").lane  # type: ignore[union-attr]
        async with listening(InferenceService(found).service) as channel:
            async with lane.alone():
                call = channel.unary_unary(f"/{INFER}")(request())
                await until(lambda: lane.waiting == 1)
                call.cancel()
                short = await code(channel, INFER, request(), timeout=0.3)
                assert short[0] == "DEADLINE_EXCEEDED"
                await until(lambda: all(one.left for one in lane._waiting))  # serve knows it too
            await until(lambda: lane.waiting == 0)
            assert session.runs == 0
            await ask(channel, INFER, request())
            assert session.runs == 1

    run(main)


def test_bytes_that_are_no_message_are_the_clients_mistake() -> None:
    async def main() -> None:
        async with listening(InferenceService(models(loaded(Doubling()))).service) as channel:
            for data in (b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xff"):
                assert (await code(channel, INFER, data))[0] == "INVALID_ARGUMENT"
            assert (await code(channel, INFER, b""))[0] == "NOT_FOUND"

    run(main)


def test_where_it_cannot_listen_is_said(tmp_path: Path) -> None:
    async def refused(address: str, error: type[Exception]) -> str:
        listener = Listener([], LIMITS)
        with pytest.raises(error) as told:
            await listener.start(address)
        await listener.stop(within_s=0)
        return str(told.value)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            where = f"127.0.0.1:{other.getsockname()[1]}"
            assert where in await refused(where, PortInUseError)
        await refused("192.0.2.1:0", MisuseError)
        await refused(str(tmp_path / "none" / "x.sock"), StorageError)
        path = tmp_path / "grpc.sock"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            assert str(path) in await refused(str(path), PortInUseError)
        (tmp_path / "file").write_text("")
        assert "found another file" in await refused(str(tmp_path / "file"), StorageError)

    run(main)


def test_a_unix_socket_is_for_the_group_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "grpc.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        service = InferenceService(models(loaded(Doubling()))).service
        async with listening(service, address=str(path)) as channel:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert await ask(channel, INFER, request())

    run(main)


def has_grpc(serve: Serve) -> bool:
    return "cygrpc" in Path(f"/proc/{serve.process.pid}/maps").read_text()


def test_grpc_is_loaded_where_it_is_asked_for_only(tmp_path: Path) -> None:
    named = f"--model=m={FIXTURES}/tiny_int8.tflite"
    with serving(named) as serve:
        assert serve.ready["grpc"] is None
        assert not has_grpc(serve)
    path = tmp_path / "g.sock"
    with serving(named, "--grpc", str(path)) as serve:
        assert serve.ready["grpc"] == str(path)
        assert has_grpc(serve)
        with grpc.insecure_channel(f"unix:{path}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"", timeout=20) == b"\x08\x01"
            with pytest.raises(grpc.RpcError) as told:
                check(b"\x0a\x01x", timeout=20)
            assert told.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_machine_without_grpcio_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "grpc.py").write_text("raise ModuleNotFoundError(name='grpc')\n")
    found = subprocess.run(
        [
            *(sys.executable, "-m", "littoral_serve", "--http", "127.0.0.1:0"),
            *("--grpc", "127.0.0.1:0", "--model", f"m={FIXTURES}/tiny_int8.tflite"),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    assert "run: pip install 'littoral[grpc]' [missing-extra]" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_call_that_ends_the_librarys_server_ends_ours_for_a_moment_only() -> None:
    """A path that is no UTF-8 does, and says so to nobody."""

    def field(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value

    head = field(b":method", b"POST") + field(b":scheme", b"http") + field(b":path", b"/\xc3/x")
    head += field(b":authority", b"x") + field(b"te", b"trailers")
    head += field(b"content-type", b"application/grpc")
    call = len(head).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + head
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    model = f"--model=tiny={FIXTURES}/tiny_float.tflite"
    with serving(model, "--grpc", "127.0.0.1:0") as serve:
        host, _, port = serve.ready["grpc"].rpartition(":")
        for _ in range(2):
            with socket.create_connection((host, int(port)), timeout=20) as hostile:
                hostile.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + call)
                while hostile.recv(1 << 16):
                    pass
            with grpc.insecure_channel(serve.ready["grpc"]) as channel:
                live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
                assert live(b"", timeout=20, wait_for_ready=True) == b"\x08\x01"

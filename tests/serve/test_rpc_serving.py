"""gRPC as a whole: what is told of being ready, until serve ends."""

import asyncio
from collections.abc import Callable

from grpc import aio

from littoral_serve.http.bodies import Bodies
from littoral_serve.protocols.rpc import inference_messages as messages
from littoral_serve.protocols.rpc import serving
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.settings import Settings
from patience import patient
from simulators.loaded import Doubling, loaded, models

READY, NOT_READY = b"\x08\x01", b"\x08\x00"
ASKED = {  # and what is told while serve ends
    "inference.GRPCInferenceService/ServerLive": (b"", READY),
    "inference.GRPCInferenceService/ServerReady": (b"", NOT_READY),
    "inference.GRPCInferenceService/ModelReady": (
        encode(messages.MODEL_READY_REQUEST, {"name": "m"}),
        NOT_READY,
    ),
    "grpc.health.v1.Health/Check": (b"", b"\x08\x02"),
}


async def until(check: Callable[[], object]) -> None:
    while not check():  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(0)


def test_who_asked_before_serve_ends_and_is_answered_then_is_told_that_it_is_not_ready() -> None:
    """Who asks later hears nothing: the library takes no more calls."""

    async def main() -> None:
        found = models(loaded(Doubling()))
        chosen = Settings(grpc="127.0.0.1:0")
        listener, where = await serving.listen(found, chosen, Bodies(chosen.bodies_bytes))
        async with aio.insecure_channel(where) as channel:
            for path, (message, _) in ASKED.items():
                told = await channel.unary_unary(f"/{path}")(message)
                assert told == READY, path
            calls = [channel.stream_unary(f"/{path}")() for path in ASKED]
            await until(lambda: len(listener._intake._reading.waited()) == len(calls))
            ending = asyncio.create_task(listener.stop(within_s=patient(20)))
            await until(lambda: listener.ending)
            for call, (path, (message, last)) in zip(calls, ASKED.items(), strict=True):
                await call.write(message)
                await call.done_writing()
                assert await call == last, path
            await ending

    asyncio.run(asyncio.wait_for(main(), patient(30)))

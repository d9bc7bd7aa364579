"""The Open Inference Protocol on releases that are busy or switched: no client brings it about."""

import asyncio
import gc
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from littoral.model.backends import Array
from littoral.wire.control import Activated
from littoral_serve.http.again import Again
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.protocols.oip import OpenInference
from littoral_serve.running.lane import Bounds
from littoral_serve.running.live import Models
from simulators.infers import tensor
from simulators.loaded import Doubling, loaded, models
from simulators.served import (
    Device,
    images,
    order,
    serving,
)


def _request(**parameters: Any) -> Request:
    one = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    body = json.dumps({"inputs": [one], "parameters": parameters}).encode()
    return Request("POST", b"/v2/models/m/infer", {}, body, keep_alive=True, arrived_ns=0)


async def _ask(one: OpenInference, **parameters: Any) -> Response:
    answer = one.handle(_request(**parameters))
    if isinstance(answer, Response):
        return answer
    given: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    if answer.response is not None:
        return answer.response
    answer.then(given.set_result)
    return await given


def test_a_full_queue_is_told_to_come_again() -> None:
    async def main() -> None:
        live = loaded(Doubling(), bounds=Bounds(requests=1))
        one = OpenInference(models(live), deadline_s=30)
        async with live.lane.alone():
            assert isinstance(one.handle(_request()), Later)
            refused = await _ask(one)
        assert refused.status == 503
        assert (live.lane.overloaded, live.lane.late) == (1, 0)
        assert b"Retry-After: 1" in refused.headers

    asyncio.run(main())


def test_a_request_that_waited_too_long_is_not_run() -> None:
    """It arrived when the clock began; a microsecond later is long ago."""

    async def main() -> None:
        live = loaded(Doubling())
        one = OpenInference(models(live), deadline_s=1e9)
        async with live.lane.alone():
            late = asyncio.ensure_future(_ask(one, timeout=1))
            in_time = asyncio.ensure_future(_ask(one))
            await asyncio.sleep(0)
        assert (await late).status == 504
        assert (live.lane.overloaded, live.lane.late) == (0, 1)
        assert (await in_time).status == 200

    asyncio.run(main())


def test_a_release_that_was_switched_out_is_let_go() -> None:
    async def main() -> None:
        having = Models(keep_previous_free_bytes=2**62)
        one = OpenInference(having, deadline_s=1e9)
        having.switch(loaded(Doubling(), release=1))
        assert json.loads((await _ask(one)).body)["model_version"] == "1"
        before = weakref.ref(having.get("m"))
        having.switch(loaded(Doubling(), release=2))
        assert json.loads((await _ask(one)).body)["model_version"] == "2"
        gc.collect()
        assert before() is None

    asyncio.run(main())


def test_a_device_answers_with_the_release_that_it_was_ordered_to(tmp_path: Path) -> None:
    device = Device(tmp_path)
    first, second = (device.add("digits", release=n) for n in (1, 2))
    device.good(first)
    with serving("--data", str(tmp_path)) as serve:
        client = triton.InferenceServerClient(serve.ready["http"])
        for number, release in ((1, first), (2, second)):
            order(device, "activate", Activated, release.order)
            got = client.infer("digits", [tensor(images(1))]).get_response()
            assert got["model_version"] == str(number)
            assert client.get_model_metadata("digits")["versions"] == [str(number)]
        client.close()


def _binary(x: Array, **said: Any) -> tuple[bytes, int]:
    """Return a body of one tensor in binary, and how long its head is."""
    one = {"name": "x", "shape": [1, 2], "datatype": "FP32"} | said
    one["parameters"] = {"binary_data_size": x.nbytes}
    head = json.dumps({"inputs": [one], "parameters": {"binary_data_output": True}}).encode()
    return head + x.tobytes(), len(head)


def test_what_begins_as_before_is_not_looked_at_again_and_is_answered_as_before() -> None:
    """Whoever is switched to, and whatever the head says: Again is one connection's memory."""

    async def main() -> None:
        having = Models(keep_previous_free_bytes=2**62)
        one = OpenInference(having, deadline_s=1e9)
        having.switch(loaded(Doubling(), release=1))
        x = np.array([[1, 2]], np.float32)
        body, length = _binary(x)
        headers = {b"inference-header-content-length": b"%d" % length}
        again = Again(b"", len(body), "POST", b"/v2/models/m/infer", headers)

        def answer(body: bytes) -> tuple[int, bytes]:
            request = again.request(memoryview(bytearray(body)), arrived_ns=0)
            given = (again.answer or one.handle)(request)
            response = given.response if isinstance(given, Later) else given
            assert isinstance(response, Response)
            return response.status, response.body

        for factor in (1, 2, 3):
            status, told = answer(body[:length] + (x * factor).tobytes())
            assert (status, told[-8:]) == (200, (x * factor * 2).tobytes())
            assert again.answer is not None
        wrong, _ = _binary(x, name="y")  # as long
        assert answer(wrong)[0] == 400
        assert again.answer is None
        for release in (2, 3):
            having.switch(loaded(Doubling(), release=release))
            assert b'"model_version":"%d"' % release in answer(body)[1]
            assert answer(body)[0] == 200
        before = weakref.ref(having.get("m"))
        having.switch(loaded(Doubling(), release=4))  # nothing more is said on this connection
        gc.collect()
        assert before() is None

    asyncio.run(main())


@pytest.mark.parametrize("header", [b"origin", b"content-encoding"])
def test_where_more_is_to_be_done_it_is_done_each_time(header: bytes) -> None:
    body, length = _binary(np.array([[1, 2]], np.float32))
    headers = {b"inference-header-content-length": b"%d" % length, header: b"identity"}
    again = Again(b"", len(body), "POST", b"/v2/models/m/infer", headers)
    one = OpenInference(models(loaded(Doubling())), deadline_s=1e9)
    for _ in range(2):
        assert isinstance(one.handle(again.request(body, arrived_ns=0)), Later)
        assert again.answer is None

"""Requests that begin alike: some hundred conversations; and servers that mix them up are found."""

import pytest

from faults import repeats
from faults.repeats_made import talk
from littoral_serve.http import again
from littoral_serve.http.messages import Request
from littoral_serve.protocols import oip, oip_request
from littoral_serve.protocols.oip_request import Same


def test_each_request_is_answered_as_if_it_were_the_first() -> None:
    tally = list(repeats.run(repeats.Aim(runs=350)))[-1]
    assert not tally.found, tally.found
    for status in ("200", "400", "403", "404", "408"):
        assert tally.count[status] > 0, status
    assert min(tally.points.values()) > 10


def test_the_same_number_is_the_same_conversation() -> None:
    assert talk(3, 77) == talk(3, 77) != talk(4, 77)


def _found() -> str:
    for tally in repeats.run(repeats.Aim(runs=400)):
        if tally.found:
            return tally.found[0]
    return ""


def test_who_forgets_what_a_head_said_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oip, "_VARIES", frozenset())
    assert "answer" in _found()


def test_who_does_not_look_at_what_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Same.read

    def blind(same: Same, body: bytes | memoryview) -> oip_request.InferTensors | None:
        return read(same, same._head + bytes(body[len(same._head) :]))

    monkeypatch.setattr(Same, "read", blind)
    assert "answer" in _found()


def test_who_gives_a_request_another_ones_body_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    last: list[bytes] = []
    make = again.Again.request

    def mixed(one: again.Again, data: bytes | memoryview, *, arrived_ns: int) -> Request:
        last.append(bytes(data))
        before = last[-2] if len(last) > 1 and len(last[-2]) == len(data) else data
        return make(one, before, arrived_ns=arrived_ns)

    monkeypatch.setattr(again.Again, "request", mixed)
    assert "answer" in _found()

"""Frames over serve's Unix socket, spoken well and badly, with real models."""

import asyncio
import contextlib
import gc
import socket
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from littoral.model import tensors
from littoral.model.backends import Array, open_session
from littoral.wire import frames
from littoral.wire.control import Activated
from littoral.wire.frames import Describe, Described, Done, Kind, Refused, Run, Spec
from littoral_serve.protocols.frames import Frames
from littoral_serve.running.live import Models
from simulators.loaded import Doubling, loaded
from simulators.served import FIXTURES, Device, Serve, ask, model, noise, order, serving

NAMES = ("tiny_int8", "tiny_float", "two_int8")
X = Spec("x", "float32", (1, 8, 8, 1))


@dataclass(frozen=True)
class Answer:
    kind: int
    head: bytes
    body: bytes

    @property
    def refused(self) -> Refused:
        assert self.kind == Kind.REFUSED, self.head
        return frames.read(Refused, self.head)

    @property
    def done(self) -> Done:
        assert self.kind == Kind.DONE, self.head
        return frames.read(Done, self.head)


class Caller:
    """A client that says exactly what it is told to."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> Answer:
        header = self._file.read(16)
        assert len(header) == 16, "closed"
        kind, head, body, _ = frames.sizes(header)
        return Answer(kind, self._file.read(head), self._file.read(body))

    def ask(self, data: bytes) -> Answer:
        self.say(data)
        return self.hear()

    def closed(self) -> bool:
        """Read on until the server says that no more comes."""
        try:
            return not self._file.read(1)
        except ConnectionResetError:
            return True


def run(name: str, *arrays: Array, specs: tuple[Spec, ...] = (X,), **words: Any) -> bytes:
    head = frames.head(Run(model=name, inputs=specs, **words))
    body = b"".join(array.tobytes() for array in arrays)
    return frames.begin(Kind.RUN, head, body_bytes=len(body)) + body


def ramp(count: int = 1) -> Array:
    return np.linspace(0, 1, count * 64, dtype=np.float32).reshape(count, 8, 8, 1)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    device = Device(tmp_path_factory.mktemp("frames") / "data")
    (device.tree.root / "serve.toml").write_text(
        "max_body_bytes = 300_000\nreceive_timeout_s = 1.0\nkeep_alive_s = 2.5\n"
        "max_connections = 12\n"
    )
    device.good(device.add("digits", release=6))
    return device


@pytest.fixture(scope="module")
def serve(device: Device) -> Iterator[Serve]:
    options = [f"--model={name.replace('_', '-')}={FIXTURES / name}.tflite" for name in NAMES]
    with serving(f"--data={device.tree.root}", *options) as running:
        yield running


@pytest.fixture
def caller(serve: Serve, device: Device) -> Iterator[Caller]:  # noqa: ARG001
    with Caller(device.tree.serve) as caller:
        yield caller


def test_tensors_go_in_and_come_out(caller: Caller) -> None:
    session = open_session("litert", model("tiny_int8"))
    (name,) = (spec.name for spec in session.inputs)
    spec = Spec(name, "float32", (1, 8, 8, 1))
    stored = session.run(tensors.quantize(ramp(), session.inputs[0]))[0]
    answer = caller.ask(run("tiny-int8", ramp(), specs=(spec,)))
    assert (answer.done.model, answer.done.release) == ("tiny-int8", 1)
    seen = tensors.dequantize(stored, session.outputs[0])
    assert answer.done.outputs == (Spec(session.outputs[0].name, "float32", stored.shape),)
    assert answer.body == seen.tobytes()
    raw = tensors.quantize(ramp(), session.inputs[0])
    given = Spec(name, "int8", (1, 8, 8, 1))
    answer = caller.ask(run("tiny-int8", raw, specs=(given,), signature="raw", release=1))
    assert answer.body == stored.tobytes()


def test_any_number_of_instances_is_answered(caller: Caller) -> None:
    (name,) = (spec.name for spec in open_session("litert", model("tiny_float")).inputs)
    one_by_one = [
        caller.ask(run("tiny-float", x, specs=(Spec(name, "float32", x.shape),))).body
        for x in np.split(ramp(5), 5)
    ]
    spec = Spec(name, "float32", (5, 8, 8, 1))
    answer = caller.ask(run("tiny-float", ramp(5), specs=(spec,)))
    assert answer.body == b"".join(one_by_one)
    assert answer.done.outputs[0].shape[0] == 5


def test_inputs_may_come_in_any_order(caller: Caller) -> None:
    session = open_session("litert", model("two_int8"))
    ((left, right),) = noise(session.inputs, 1)
    specs = tuple(Spec(spec.name, spec.dtype, spec.shape) for spec in session.inputs)
    there = caller.ask(run("two-int8", left, right, specs=specs, signature="raw"))
    back = caller.ask(run("two-int8", right, left, specs=specs[::-1], signature="raw"))
    assert there.body == back.body == b"".join(a.tobytes() for a in session.run(left, right))


def test_a_model_is_described(caller: Caller) -> None:
    answer = caller.ask(frames.begin(Kind.DESCRIBE, frames.head(Describe(model="digits"))))
    told = frames.read(Described, answer.head)
    assert (answer.kind, told.model, told.release) == (Kind.DESCRIBED, "digits", 6)
    assert told.signatures["raw"].inputs[0].dtype == "int8"
    assert told.signatures["serving_default"].inputs[0].dtype == "float32"
    unknown = frames.begin(Kind.DESCRIBE, frames.head(Describe(model="digits", release=5)))
    assert caller.ask(unknown).refused.code == "not-found"


def test_http_is_spoken_on_the_same_socket(serve: Serve, device: Device) -> None:  # noqa: ARG001
    assert ask(device.tree.serve, "GET", "/v1/models/digits")[0] == 200
    with Caller(device.tree.serve) as caller:
        caller.say(b"G")  # the first byte alone
        caller.say(b"ET /v1/models/digits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with caller.socket.makefile("rb") as file:
            assert file.read().startswith(b"HTTP/1.1 200 OK")
    long = b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with Caller(device.tree.serve) as caller:  # longer than what a first look has room for
        caller.say(long)
        with caller.socket.makefile("rb") as file:
            assert file.read().startswith(b"HTTP/1.1 404")


ODD = [
    ("not-found", {"name": "gone"}, "nothing answers for gone"),
    ("not-found", {"release": 9}, "nothing answers for tiny-float, release 9"),
    ("not-found", {"signature": "odd"}, "no signature 'odd'; there are: serving_default"),
    ("denied", {"specs": (Spec("x", "int8", (1, 8, 8, 1)),)}, "expected float32, found int8"),
    ("denied", {"specs": (Spec("y", "float32", (1, 8, 8, 1)),)}, "expected the inputs"),
    ("denied", {"specs": (X, X)}, "is there twice"),
    ("denied", {"specs": ()}, "expected the inputs"),
    ("denied", {"specs": (Spec("x", "float32", (1, 8, 8, 2)),)}, "body has 256"),
    ("denied", {"specs": (Spec("x", "float32", (1, 64)),)}, "Expecting shape"),
    ("denied", {"specs": (Spec("x", "float32", (0, 8, 8, 1)),), "arrays": ()}, "Expecting shape"),
    ("denied", {"specs": (Spec("x", "float32", (2**40, 2**40)),)}, "body has 256"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "words", "says"), ODD)
def test_a_request_that_cannot_be_answered_is_refused_and_the_next_is_not(
    caller: Caller, code: str, words: dict[str, Any], says: str
) -> None:
    (name,) = (spec.name for spec in open_session("litert", model("tiny_float")).inputs)
    given = {"name": "tiny-float", "arrays": (ramp(),), "specs": (X,), **words}
    specs = tuple(
        Spec(name if spec.name == "x" else spec.name, spec.dtype, spec.shape)
        for spec in given.pop("specs")
    )
    who, arrays = given.pop("name"), given.pop("arrays")
    refused = caller.ask(run(who, *arrays, specs=specs, **given)).refused
    assert refused.code == code
    assert says in refused.error
    good = run("tiny-float", ramp(), specs=(Spec(name, "float32", (1, 8, 8, 1)),))
    assert caller.ask(good).kind == Kind.DONE


@pytest.mark.parametrize("head", [b"", b"{", b"[]", b"\xff" * 40, b'{"model": 1}', b" " * 16])
def test_a_head_that_is_none_is_refused_and_the_next_is_not(caller: Caller, head: bytes) -> None:
    for kind in (Kind.RUN, Kind.DESCRIBE):
        answer = caller.ask(frames.begin(kind, head, body_bytes=3) + b"abc")
        assert answer.refused.code == "denied"


HEADER = frames.HEADER
BROKEN = {
    "malformed": [
        b"\x8fX" + bytes(14),
        HEADER.pack(b"\x8fL", 1, Kind.DONE, 0, 0, 0),
        HEADER.pack(b"\x8fL", 1, 0, 0, 0, 0),
        HEADER.pack(b"\x8fL", 1, 77, 0, 0, 0),
    ],
    "unsupported-format": [HEADER.pack(b"\x8fL", 2, 1, 0, 0, 0)],
    "endless": [
        HEADER.pack(b"\x8fL", 1, 1, frames.MAX_HEAD_BYTES + 1, 0, 0),
        HEADER.pack(b"\x8fL", 1, 1, 2**32 - 1, 2**32 - 1, 2**32 - 1),
        HEADER.pack(b"\x8fL", 1, 1, 2, 300_001, 0),
    ],
}


@pytest.mark.parametrize(
    ("code", "data"), [(code, data) for code, all_of in BROKEN.items() for data in all_of]
)
def test_what_is_no_frame_ends_the_connection(caller: Caller, code: str, data: bytes) -> None:
    assert caller.ask(data).refused.code == code
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        caller.say(bytes(100_000))  # it is read and dropped, and the refusal was seen
    assert caller.closed()


def test_frames_that_come_together_are_answered_in_their_order(caller: Caller) -> None:
    (name,) = (spec.name for spec in open_session("litert", model("tiny_float")).inputs)
    asked, counts = [], [1, 3, 2, 1, 7] * 12
    for count in counts:
        spec = Spec(name, "float32", (count, 8, 8, 1))
        asked.append(run("tiny-float", ramp(count), specs=(spec,)))
    thread = threading.Thread(target=caller.say, args=(b"".join(asked),))
    thread.start()
    got = [caller.hear() for _ in counts]
    thread.join()
    assert [answer.done.outputs[0].shape[0] for answer in got] == counts
    assert got[1].body == caller.ask(asked[1]).body


def test_a_frame_may_come_byte_by_byte(caller: Caller) -> None:
    (name,) = (spec.name for spec in open_session("litert", model("tiny_float")).inputs)
    data = run("tiny-float", ramp(), specs=(Spec(name, "float32", (1, 8, 8, 1)),))
    for at in range(len(data)):
        caller.say(data[at : at + 1])
    assert caller.hear().kind == Kind.DONE


def test_a_large_frame_is_taken_and_its_room_given_back(serve: Serve, device: Device) -> None:
    (name,) = (spec.name for spec in open_session("litert", model("tiny_float")).inputs)
    spec = Spec(name, "float32", (1171, 8, 8, 1))  # 299,776 bytes, of 300,000
    with Caller(device.tree.serve) as caller:
        for _ in range(3):
            answer = caller.ask(run("tiny-float", ramp(1171), specs=(spec,)))
            assert answer.done.outputs[0].shape[0] == 1171
    assert serve.process.poll() is None


def test_slow_clients_are_closed(serve: Serve, device: Device) -> None:  # noqa: ARG001
    with Caller(device.tree.serve) as silent, Caller(device.tree.serve) as slow:
        slow.say(b"\x8fL\x01")
        assert slow.hear().refused.code == "slow"
        assert slow.closed()
        assert silent.closed()


def test_no_more_programs_are_connected_than_may(serve: Serve, device: Device) -> None:  # noqa: ARG001
    with contextlib.ExitStack() as held:
        describe = frames.begin(Kind.DESCRIBE, frames.head(Describe(model="digits")))
        for _ in range(12):
            one = held.enter_context(Caller(device.tree.serve))
            assert one.ask(describe).kind == Kind.DESCRIBED
        surplus = held.enter_context(Caller(device.tree.serve))
        assert surplus.ask(describe).refused.code == "overloaded"
        assert surplus.closed()
        with Caller(device.tree.serve) as http:
            http.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert http.socket.recv(100).startswith(b"HTTP/1.1 503")
        silent = held.enter_context(Caller(device.tree.serve))
        assert silent.closed()


def test_a_switch_of_releases_is_seen_by_who_is_connected(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    device = Device(tmp_path_factory.mktemp("switch") / "data")
    device.good(device.add("digits", release=1))
    second = device.add(
        "digits", release=2, data=model("tiny_int8_b"), golden_of=model("tiny_int8_b")
    )
    session = open_session("litert", model("tiny_int8"))
    spec = Spec(session.inputs[0].name, "float32", (1, 8, 8, 1))
    data = run("digits", ramp(), specs=(spec,))
    with serving(f"--data={device.tree.root}"), Caller(device.tree.serve) as caller:
        before = caller.ask(data)
        order(device, "activate", Activated, second.order)
        after = caller.ask(data)
    assert (before.done.release, after.done.release) == (1, 2)
    assert before.body != after.body


def test_a_stop_answers_and_then_closes(tmp_path_factory: pytest.TempPathFactory) -> None:
    device = Device(tmp_path_factory.mktemp("stop") / "data")
    device.good(device.add("digits"))
    describe = frames.begin(Kind.DESCRIBE, frames.head(Describe(model="digits")))
    with serving(f"--data={device.tree.root}") as serve, Caller(device.tree.serve) as caller:
        assert caller.ask(describe).kind == Kind.DESCRIBED
        serve.process.terminate()
        assert caller.closed()


def test_a_client_that_says_nothing_more_keeps_no_release() -> None:
    async def main() -> None:
        having = Models(keep_previous_free_bytes=2**62)
        answers = Frames(having, deadline_s=1e9)
        x = np.array([[1, 2]], np.float32)
        whole = run("m", x, specs=(Spec("x", "float32", x.shape),))
        _, head, _, _ = frames.sizes(memoryview(whole), 0)
        start = frames.HEADER.size
        asked = answers.question(
            whole[start : start + head], memoryview(whole)[start + head :], within_ms=0
        )
        for release in (1, 2):
            having.switch(loaded(Doubling(), release=release))
            for _ in range(2):
                told: list[bytes] = []
                answers.run(asked, 0, told.append)
                assert told[0].endswith((x * 2).tobytes())
        before = weakref.ref(having.get("m"))
        having.switch(loaded(Doubling(), release=3))
        gc.collect()
        assert before() is None

    asyncio.run(main())

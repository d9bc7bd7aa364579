"""Messages: read back as they were said, refused when they are anything else."""

import dataclasses
import random
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.errors import MalformedError
from littoral.wire import messages, varint
from littoral.wire.board import BoardWindow, Spread
from littoral.wire.enrolment import Token
from littoral.wire.message import MAX_BYTES
from littoral.wire.messages import Acks, Key, Post, Report, Running, Status
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Series, Telemetry
from littoral.wire.update import Update

KEY = Key(device="porch-1", incarnation=2, stream="r-7f3a", sequence=9)
UPDATE = Update(model="digits", event="refused", state="idle", release=3, good=2, code="hash")
REPORT = Report(key=KEY, once="1f0c", time_ms=1_700_000_000_000, kind="update", update=UPDATE)
STATUS = Status(
    device="porch-1",
    incarnation=2,
    online=True,
    hardware=("cpu-x86_64",),
    models=(Running(model="digits", state="idle", release=2, good=2),),
)
TOKEN = Token(secret="s3cret", fleet="shore", root_sha256="a" * 64, console_ca_sha256="b" * 64)

ids = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)
positive = st.integers(1, 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
keys = st.builds(Key, device=ids, incarnation=positive, stream=ids, sequence=positive)


@st.composite
def sketches(draw: st.DrawFn) -> Sketch:
    sketch = Sketch()
    for value in draw(st.lists(st.floats(0, 1e9), max_size=30)):
        sketch.record(value)
    return sketch


telemetry = st.builds(
    Telemetry,
    key=keys,
    start_ms=counts,
    duration_ms=counts,
    series=st.lists(
        st.builds(Series, model=ids, release=counts, variant=ids, stage=ids, sketch=sketches()),
        max_size=5,
    ).map(tuple),
    errors=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), counts, max_size=3),
    board=st.none()
    | st.builds(
        BoardWindow,
        samples=st.integers(1, 99),
        temperature_c=st.none() | st.just(Spread(low=41.0, mean=50.5, high=84.9)),
        disk_free_mib=st.none() | st.just(812.0),
    ),
)


@pytest.mark.parametrize(
    "message",
    [REPORT, STATUS, Acks(acks={"r-7f3a": 9}), Post(status=STATUS, reports=(REPORT,))],
    ids=lambda m: type(m).__name__,
)
def test_what_was_said_is_understood(message: Report | Status | Acks | Post) -> None:
    assert type(message).from_json(message.to_json()) == message


@pytest.mark.parametrize("kind", [Report, Status, Acks, Post])
@given(data=st.binary(max_size=200))
def test_whatever_arrives_is_understood_or_refused(
    kind: type[Report | Status | Acks | Post], data: bytes
) -> None:
    try:
        assert isinstance(kind.from_json(data), kind)
    except MalformedError:
        return


@given(telemetry)
def test_telemetry_is_decoded_as_it_was_encoded(message: Telemetry) -> None:
    assert Telemetry.decode(message.encode()) == message


@given(telemetry, st.data())
def test_spoilt_telemetry_is_refused_or_another_message(
    message: Telemetry, data: st.DataObject
) -> None:
    spoilt = bytearray(message.encode())
    at = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[at] ^= data.draw(st.integers(1, 255))
    try:
        assert isinstance(Telemetry.decode(bytes(spoilt)), Telemetry)
    except MalformedError:
        return


def test_telemetry_cut_short_anywhere_or_followed_by_more_is_refused() -> None:
    sketch = Sketch()
    sketch.record(1000)
    series = Series(model="digits", release=1, variant="cpu", stage="invoke", sketch=sketch)
    data = Telemetry(key=KEY, start_ms=1, duration_ms=2, series=(series,)).encode()
    for size in range(len(data)):
        with pytest.raises(MalformedError):
            Telemetry.decode(data[:size])
    with pytest.raises(MalformedError, match="bytes follow"):
        Telemetry.decode(data + b"\0")


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 0},
        {"incarnation": 0},
        {"device": "../other"},
        {"device": ""},
        {"device": "A"},
        {"device": "a" * 65},
        {"stream": "a/b"},
    ],
)
def test_a_key_counts_from_one_and_names_plainly(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        dataclasses.replace(KEY, **change)  # type: ignore[arg-type]


def test_a_message_beyond_its_limit_is_refused() -> None:
    long = dataclasses.replace(REPORT, detail="x" * MAX_BYTES)
    with pytest.raises(MalformedError, match="at most 65536 bytes"):
        Report.from_json(long.to_json())


def test_a_topic_names_its_device() -> None:
    topic = messages.topic("porch-1", "up/report")
    assert topic == "littoral/devices/porch-1/up/report"
    assert messages.split_topic(topic) == ("porch-1", "up/report")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "littoral/devices/a",
        "other/devices/a/up",
        "littoral/devices/A/up",
        "littoral/devices/+/x",
    ],
)
def test_what_is_no_devices_topic_is_refused(topic: str) -> None:
    with pytest.raises(MalformedError):
        messages.split_topic(topic)


def test_a_device_cannot_name_itself_into_anothers_topic() -> None:
    with pytest.raises(ValueError, match="device"):
        messages.topic("other/up", "report")


def test_a_token_is_one_word_to_paste() -> None:
    word = TOKEN.encode()
    assert word.startswith("lit1_")
    assert not set(word) & set(" /+=\n'\"")
    assert Token.decode(f"  {word}\n") == TOKEN


@pytest.mark.parametrize("word", ["", "lit1_", "lit1_!", "lit1_a", "lit1_ä", TOKEN.encode()[:-4]])
def test_a_mistyped_token_is_refused(word: str) -> None:
    with pytest.raises(MalformedError):
        Token.decode(word)


def test_what_inflates_without_end_is_refused() -> None:
    bomb = b"LT\x01" + zlib.compress(bytes(2**25), 9, -15)
    assert len(bomb) < 64 * 1024
    with pytest.raises(MalformedError, match="inflates"):
        Telemetry.decode(bomb)


def test_what_is_small_takes_no_long_time_to_read() -> None:
    """A few hundred bytes that inflate to as much as is allowed, in one series, in many."""
    for series in (1, 4000):
        plain = bytearray(b"\x02pi\x01\x03t-1\x01\x01\x01\x00")
        varint.write(plain, series)
        for _ in range(series):
            plain += b"\x01a\x01\x01b\x01c\x00\x00"
            varint.write(plain, 120_000 // series)
        plain += b"\x00" * 240_000
        packed = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = b"LT\x01" + packed.compress(plain) + packed.flush()
        began = time.process_time()
        with pytest.raises(MalformedError, match="inflates to more than"):
            Telemetry.decode(bomb)
        assert time.process_time() - began < 0.005


def test_a_series_has_no_more_buckets_than_there_are() -> None:
    plain = b"\x02pi\x01\x03t-1\x01\x01\x01\x00\x01\x01a\x01\x01b\x01c\x00\x00"
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    crowded = bytearray(plain)
    varint.write(crowded, 2562)
    bomb = b"LT\x01" + packed.compress(crowded + bytes(2 * 2562) + b"\x00") + packed.flush()
    with pytest.raises(MalformedError, match="at most 2561 buckets"):
        Telemetry.decode(bomb)


def test_a_busy_window_of_two_models_and_the_board_is_about_a_kilobyte() -> None:
    """Ten requests a second for a quarter of an hour: what a month's traffic is made of."""
    chance = random.Random(7)
    series = []
    for model in ("digits", "mobilenet"):
        for stage, middle_us, sigma in (
            ("queue", 20, 0.5),
            ("preprocess", 400, 0.15),
            ("invoke", 9000, 0.08),
            ("postprocess", 30, 0.3),
        ):
            sketch = Sketch()
            for _ in range(9000):
                sketch.record(middle_us * chance.lognormvariate(0, sigma))
            series.append(
                Series(model=model, release=12, variant="cpu", stage=stage, sketch=sketch)
            )
    board = BoardWindow(samples=15, temperature_c=Spread(low=41, mean=50, high=60))
    told = Telemetry(key=KEY, start_ms=1, duration_ms=9, series=tuple(series), board=board)
    assert len(told.encode()) <= 1000
    assert Telemetry.decode(told.encode()) == told

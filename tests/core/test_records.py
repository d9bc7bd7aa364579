"""Plain values into records: what is read back is what was written, and nothing else is read."""

import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral import records
from littoral.records import RecordError


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: float = 0.0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(f"x: expected at least 0, found {self.x}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    name: str
    colour: Colour = Colour.RED
    kind: Literal["line", "area"] = "line"
    points: tuple[Point, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    where: Path = Path()
    hidden: bool = False
    parent: "str | None" = None


text = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False, allow_infinity=False)
drawings = st.builds(
    Drawing,
    name=text,
    colour=st.sampled_from(Colour),
    kind=st.sampled_from(["line", "area"]),
    points=st.lists(st.builds(Point, x=st.integers(0, 2**63 - 1), y=numbers)).map(tuple),
    weights=st.dictionaries(text, numbers),
    where=st.just(Path("a/b")),
    hidden=st.booleans(),
    parent=st.none() | text,
)


@given(drawings)
def test_what_was_written_is_read_back(drawing: Drawing) -> None:
    assert records.from_json(Drawing, records.to_json(drawing), limit=10**6) == drawing


@given(drawings)
def test_the_same_record_is_the_same_bytes(drawing: Drawing) -> None:
    data = records.to_json(drawing)
    assert records.to_json(records.from_json(Drawing, data, limit=10**6)) == data


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"nme": "a"}, "no setting 'nme'; did you mean 'name'?"),
        ({"name": "a", "qqq": 1}, "there are: name, colour"),
        ({}, "'name' is missing"),
        ({"name": 7}, "'name' should be str, not 7"),
        ({"name": "a", "colour": "green"}, "one of red, blue, not 'green'"),
        ({"name": "a", "kind": "dot"}, "one of line, area, not 'dot'"),
        ({"name": "a", "points": [{"x": 1}, {"x": True}]}, "'points[1].x' should be int, not True"),
        ({"name": "a", "points": [{"x": -1}]}, "points[0]: x: expected at least 0, found -1"),
        ({"name": "a", "points": {}}, "'points' should be a list"),
        ({"name": "a", "weights": {"w": "1"}}, "'weights.w' should be float"),
        ({"name": "a", "weights": []}, "'weights' should be an object"),
        ({"name": "a", "hidden": 1}, "'hidden' should be bool, not 1"),
        ([], "Drawing: expected an object, found []"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(value: object, words: str) -> None:
    with pytest.raises(RecordError) as e:
        records.fill(Drawing, value)
    assert words in str(e.value)


def test_an_integer_is_taken_where_a_fraction_may_stand() -> None:
    assert records.fill(Point, {"x": 1, "y": 2}) == Point(x=1, y=2.0)


def test_none_is_left_out() -> None:
    assert b"parent" not in records.to_json(Drawing(name="a"))


def test_what_was_left_out_is_none_again_even_where_it_must_be_said() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Answer:
        release: int | None

    nothing = Answer(release=None)
    assert records.fill(Answer, json.loads(records.to_json(nothing))) == nothing


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1, "a": 2}',
        b'{"deep": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',  # Python would read it as infinite, and could not write it
        b'{"a": 9223372036854775808}',  # no column of a database holds it
        b'{"a": -9223372036854775809}',
        b'{"a": "\\ud800"}',  # half a character: neither UTF-8 nor a database takes it
        b'{"\\udfff": 1}',
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b"1" * 5_000,
        b"{",
        b"",
    ],
)
def test_what_other_readers_would_read_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        records.parse_json(data, limit=10**6)


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    with pytest.raises(RecordError, match="at most 10 bytes, found 11"):
        records.parse_json(b"[" * 11, limit=10)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_whatever_arrives_is_a_record_or_refused(value: object) -> None:
    try:
        drawing = records.fill(Drawing, value)
    except RecordError:
        return
    assert isinstance(drawing, Drawing)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_utf_8(encoding: str) -> None:
    """Of bytes in UTF-16 the half characters in them would not be seen."""
    with pytest.raises(RecordError, match="expected JSON"):
        records.parse_json('{"a": "\\ud800"}'.encode(encoding), limit=1000)
    with pytest.raises(RecordError, match="expected JSON"):
        records.parse_json('{"a": 1}'.encode(encoding), limit=1000)


def test_a_word_may_stand_where_a_number_is_expected() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Knob:
        turns: int | Literal["auto"] = "auto"

    for value in ("auto", 3):
        assert records.fill(Knob, {"turns": value}).turns == value
    for wrong, words in (("fast", "should be one of auto"), (2.5, "should be int")):
        with pytest.raises(RecordError, match=words):
            records.fill(Knob, {"turns": wrong})

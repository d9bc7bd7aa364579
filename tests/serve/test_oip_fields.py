"""Fields of a head: what is of another type is the client's mistake, in Triton's words."""

from collections.abc import Callable
from typing import Any

import pytest

from littoral_serve.protocols import oip_fields as fields
from littoral_serve.running.refusals import InvalidArgumentError


@pytest.mark.parametrize(
    ("read", "good", "wrong"),
    [
        (fields.objects, [[], [{}, {"a": 1}]], [None, {}, [{}, 1]]),
        (fields.text, ["", "x"], [None, 1, ["x"]]),
        (fields.flag, [True, False], [None, 0, 1, "true"]),
        (fields.number, [0, 1, 2**63 - 1], [None, -1, 2**63, 1.0, True, "1"]),
    ],
)
def test_a_field_is_of_its_type_or_refused(
    read: Callable[..., Any], good: list[Any], wrong: list[Any]
) -> None:
    for value in good:
        assert read({"key": value}, "key") == value
    for value in wrong:
        with pytest.raises(InvalidArgumentError, match=r"^Unable to parse 'key'$"):
            read({"key": value}, "key")


def test_what_is_not_said_is_what_it_mostly_is() -> None:
    assert fields.parameters({}) == {}
    assert (fields.flag({}, "key"), fields.flag({}, "key", default=True)) == (False, True)
    assert fields.number({}, "key") == 0
    for read in (fields.objects, fields.text):
        with pytest.raises(InvalidArgumentError, match="'key'"):
            read({}, "key")


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_parameters_are_an_object(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^Unable to parse 'parameters'$"):
        fields.parameters({"parameters": value})


def test_a_timeout_comes_in_microseconds_and_0_is_none() -> None:
    assert fields.timeout_ns({"timeout": 3}) == 3000
    assert fields.timeout_ns({"timeout": 0}) is fields.timeout_ns({}) is None


def test_a_request_may_have_a_name() -> None:
    assert (fields.name({"id": "mine"}), fields.name({})) == ("mine", None)
    with pytest.raises(InvalidArgumentError, match="'id'"):
        fields.name({"id": 1})

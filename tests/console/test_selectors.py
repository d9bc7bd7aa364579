"""Which devices a selector means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.errors import MisuseError
from littoral_console.queries import Device, Running
from littoral_console.selectors import parse


def device(name: str, **more: object) -> Device:
    fields: dict[str, object] = {
        "id": name,
        "serial": name,
        "incarnation": 1,
        "labels": {},
        "created_ms": 0,
        "revoked_ms": None,
        "frozen_ms": None,
        "frozen_why": None,
        "rotate_ms": None,
        "online": True,
        "last_seen_ms": None,
        "channel": None,
        "software": "0.1.0",
        "hardware": ("cpu-aarch64",),
        "trust": None,
        "clock": None,
        "serving": True,
        "director": 0,
        "issued": None,
        "board": None,
        "models": (),
        "wanted": (),
    }
    return Device(**{**fields, **more})  # type: ignore[arg-type]


DIGITS = Running(
    model="digits",
    state="idle",
    release=2,
    manifest=None,
    variant=None,
    good=2,
    candidate=None,
    since_ms=0,
)
FLEET = (
    device("edge-1", labels={"site": "berlin", "line": "3"}),
    device("edge-2", labels={"site": "berlin"}, hardware=("cpu-aarch64", "edgetpu-usb")),
    device("edge-3", labels={"site": "oslo"}, hardware=("edgetpu-pcie",), online=False),
    device("edge-4", models=(DIGITS,), software="0.2.0"),
)


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ("all", "1234"),
        ("edge-2", "2"),
        ("id=edge-2", "2"),
        ("site=berlin", "12"),
        ("site!=berlin", "34"),
        ("site=berlin and hardware=coral", "2"),
        ("hardware=coral", "23"),
        ("hardware=edgetpu-usb", "2"),
        ("hardware=cpu", "124"),
        ("site=berlin and not line=3", "2"),
        ("edge-1 or site=oslo", "13"),
        ("not (site=berlin or site=oslo)", "4"),
        ("site=berlin and line=3 or edge-4", "14"),
        ("site=berlin and (line=3 or edge-2)", "12"),
        ("online=true", "124"),
        ("online=false", "3"),
        ("model=digits", "4"),
        ("release=digits:2", "4"),
        ("release=digits:1", ""),
        ("software=0.2.0", "4"),
        ("nowhere=1", ""),
    ],
)
def test_a_selector_means(selector: str, meant: str) -> None:
    predicate = parse(selector)
    assert "".join(d.id[-1] for d in FLEET if predicate(d)) == meant


@pytest.mark.parametrize(
    "wrong",
    ["", "and", "site=", "=berlin", "site=berlin and", "(edge-1", "edge-1)", "a b", "a=b=c"],
)
def test_what_is_no_selector_says_so(wrong: str) -> None:
    with pytest.raises(MisuseError, match="selector"):
        parse(wrong)


@given(st.text(max_size=60))
def test_any_text_is_a_selector_or_a_misuse(text: str) -> None:
    try:
        predicate = parse(text)
    except MisuseError:
        return
    assert predicate(FLEET[0]) in {True, False}


def test_nesting_ends() -> None:
    with pytest.raises(MisuseError, match="too deep"):
        parse("(" * 100 + "all" + ")" * 100)

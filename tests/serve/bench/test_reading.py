"""Results that somebody hands in, and changed by hand."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("ai_edge_litert")

from littoral import door
from littoral.errors import BundleError, MalformedError
from littoral.wire.sketch import Sketch
from littoral_serve.bench import page, reading, showing
from simulators.served import FIXTURES

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    words = ("bench", str(FIXTURES / "tiny_int8.tflite"), "--duration", "0.1", "--json")
    done = CliRunner().invoke(door.littoral, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def changed(told: dict[str, Any], folder: Path, change: Change) -> Path:
    found = json.loads(json.dumps(told))
    change(found)
    file = folder / "changed.json"
    file.write_text(json.dumps(found))
    return file


def no_end(found: dict[str, Any]) -> None:
    found["latency_us"]["ci95"]["p50"] = [1.0]


def endless(found: dict[str, Any]) -> None:
    found["course"][0]["most"] = 1e308


def beyond_calendars(found: dict[str, Any]) -> None:
    found["time_ms"] = 2**60 // 2


def no_base64(found: dict[str, Any]) -> None:
    found["sketch"] = "===="


def cut_short(found: dict[str, Any]) -> None:
    found["sketch"] = base64.b64encode(b"\xff").decode()


def empty(found: dict[str, Any]) -> None:
    found["sketch"] = base64.b64encode(Sketch().encode()).decode()


@pytest.mark.parametrize("change", [no_end, endless, beyond_calendars, no_base64, cut_short, empty])
def test_what_no_run_comes_to_is_refused(
    told: dict[str, Any], tmp_path: Path, change: Change
) -> None:
    """Each of these can be read as JSON, and cannot be shown or drawn."""
    with pytest.raises(MalformedError, match="expected a result of bench"):
        reading.read(changed(told, tmp_path, change))


def test_operators_that_take_no_time_can_be_shown_and_drawn(
    told: dict[str, Any], tmp_path: Path
) -> None:
    """Where an interpreter takes longer to be asked than a tiny model to compute."""

    def change(found: dict[str, Any]) -> None:
        for one in found["operators"]:
            one |= {"us": 0.0, "share": 0.0}

    found = reading.read(changed(told, tmp_path, change))
    assert found.operators
    assert "0.0%" in showing.show(found)
    page.render(found)


@pytest.mark.parametrize("number", [0, -1, 1e17])
def test_whatever_is_read_can_be_shown_and_drawn(
    told: dict[str, Any], tmp_path: Path, number: float
) -> None:
    """A number is put in the place of every other one, one after the other."""
    for place in _numbers(told):

        def change(found: dict[str, Any], place: tuple[Any, ...] = place) -> None:
            *way, last = place
            within: Any = found
            for step in way:
                within = within[step]
            within[last] = type(within[last])(number)

        try:
            found = reading.read(changed(told, tmp_path, change))
        except BundleError:
            continue
        showing.show(found)
        page.render(found)


def _numbers(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [one for key, held in value.items() for one in _numbers(held, (*place, key))]
    if isinstance(value, list):
        return [one for at, held in enumerate(value[:2]) for one in _numbers(held, (*place, at))]
    return [place] if type(value) in {int, float} else []

"""What was measured on a device, as the console keeps and shows it."""

import pytest
import requests

from console.coast import BOARDS, PASSWORD, USER, Coast
from littoral.wire.messages import Benched, Report
from littoral_console import queries
from simulators.console import once

FOUND = Benched(
    target="digits-1",
    model="digits",
    release=2,
    variant="cpu-int8",
    backend="litert",
    threads=2,
    scenario="single-stream",
    board="Raspberry Pi 4 Model B Rev 1.4",
    hardware="cpu-aarch64",
    runtime="LiteRT 2.3.0",
    figures={"p50_us": 812.5, "p99_us": 1520.0, "throughput": 1201.0, "rss_bytes": 50_331_648.0},
)


@pytest.fixture(scope="module")
def told(coast: Coast) -> Coast:
    """Let the first board tell it, twice: what came again changes nothing."""
    board = BOARDS[0]
    key = coast.key(board, "reports-1")
    said = Report(
        key=key, once=once(key), time_ms=coast.now_ms, kind="bench", detail="…", bench=FOUND
    )
    for _ in range(2):
        coast.hear(board, said, at_ms=coast.now_ms)
    return coast


def test_it_is_kept_once_with_its_figures(told: Coast) -> None:
    name = BOARDS[0].id
    (found,) = told.context.read(lambda c: queries.history(c, device=name, kind="bench"))
    assert (found.model, found.release, found.event, found.code) == ("digits", 2, None, None)
    assert found.figures == FOUND.figures
    assert "Raspberry Pi 4 Model B Rev 1.4: cpu-int8 · litert · 2 threads" in found.detail


def test_it_is_no_step_of_an_update(told: Coast) -> None:
    found = told.context.read(lambda c: queries.history(c, model="digits"))
    assert [one.kind for one in found if one.event is None] == ["bench"]


@pytest.mark.usefixtures("told")
def test_the_page_of_the_device_shows_it_by_the_boards_name(url: str) -> None:
    with requests.Session() as session:
        session.headers["Accept"] = "text/html"
        session.post(f"{url}/login", data={"username": USER, "password": PASSWORD}, timeout=30)
        page = session.get(f"{url}/devices/{BOARDS[0].id}", timeout=30).text
        other = session.get(f"{url}/devices/{BOARDS[1].id}", timeout=30).text
    shown = page.partition('id="measured"')[2].partition('id="happened"')[0]
    for words in ("Raspberry Pi 4 Model B Rev 1.4", "812 µs", "1.52 ms", "50.3 MB"):
        assert words in shown, words
    assert 'id="measured"' not in other


def test_a_device_that_names_what_cannot_be_a_model_is_not_believed() -> None:
    with pytest.raises(ValueError, match="model"):
        Benched(
            target="x",
            model="../etc",
            backend="litert",
            threads=1,
            scenario="server",
            board="x",
            runtime="x",
            figures={},
        )

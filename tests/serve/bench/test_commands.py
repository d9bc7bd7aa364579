"""``littoral bench`` as people and programs call it, on real models."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from littoral import door
from littoral_serve.bench import page, reading
from simulators.benched import QUICK, TINY, bench, refused, shown
from simulators.served import FIXTURES, HARDWARE, Device


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return Device(tmp_path_factory.mktemp("bench") / "data")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result with everything that a result may have."""
    told = bench(TINY, "--duration", "0.2", "--compare", str(FIXTURES / "tiny_int8_b.tflite"))
    swept = bench(TINY, "--duration", "0.1", "--sweep", "--latency-limit", "1e9")
    told |= {name: swept[name] for name in ("settings", "recommended", "limit_us")}
    file = tmp_path_factory.mktemp("results") / "whole.json"
    file.write_text(json.dumps(told))
    return file


def test_programs_get_what_they_were_promised() -> None:
    told = bench(TINY, "--duration", "0.2")
    assert told["target"] == TINY
    assert (told["backend"], told["threads"], told["scenario"]) == ("litert", 1, "single-stream")
    assert told["count"] >= 10
    held = told["latency_us"]
    names = ("p50", "p90", "p95", "p99", "p99_9")
    assert [held[name] for name in names] == sorted(held[name] for name in names)
    assert held["least"] <= held["p50"] <= held["most"]
    assert held["ci95"]["p50"][0] <= held["p50"] <= held["ci95"]["p50"][1]
    assert told["throughput_per_s"] == pytest.approx(told["count"] / told["duration_s"], rel=0.01)
    assert told["load_ms"] > 0
    assert told["first_ms"] > 0
    assert told["rss_bytes"] > 10 * 2**20
    assert [one["op"] for one in told["operators"]]
    assert told["host"]["hardware"] == HARDWARE
    assert told["host"]["runtime"].startswith("LiteRT")
    assert told["limit_us"] is None  # what is not there is there as null


@pytest.mark.parametrize(
    ("scenario", "words", "per_query"),
    [
        ("multi-stream", ("--samples", "4"), 4),
        ("offline", (), 1),
        ("server", ("--rate", "300"), 1),
        ("server", (), 1),
    ],
)
def test_each_scenario_is_measured(scenario: str, words: tuple[str, ...], per_query: int) -> None:
    told = bench(TINY, "--scenario", scenario, *words, *QUICK)
    assert told["scenario"] == scenario
    assert told["samples_per_query"] == per_query
    rate = told["count"] * per_query / told["duration_s"]
    assert told["throughput_per_s"] == pytest.approx(rate, rel=0.02)
    if "--rate" in words:
        assert (told["asked_per_s"], told["count"], told["metric_value"]) == (300, 60, 300)


def test_a_batch_counts_as_many_samples_as_it_has() -> None:
    told = bench(str(FIXTURES / "two_int8.tflite"), "--scenario", "offline", *QUICK)
    rate = told["count"] * told["batch"] / told["duration_s"]
    assert told["throughput_per_s"] == pytest.approx(rate, rel=0.02)


def test_a_server_looks_for_the_rate_that_keeps_a_limit() -> None:
    told = bench(
        TINY,
        "--scenario",
        "server",
        "--latency-limit",
        "1000000",
        "--duration",
        "0.2",
        "--no-operators",
    )
    assert told["searched"]
    assert told["asked_per_s"] == pytest.approx(
        max(one["per_s"] for one in told["searched"] if one["kept"]), rel=0.01
    )


def test_a_bundle_is_measured_on_its_golden_inputs_and_proves_itself(
    device: Device, tmp_path: Path
) -> None:
    folder = device.bundle(device.add("digits"), tmp_path / "digits-1")
    told = bench(str(folder), *QUICK)
    assert (told["variant"], told["inputs"]) == ("cpu-int8", "golden")
    proven = told["selftest"]
    assert (proven["model"], proven["hardware"], proven["code"]) == ("digits", HARDWARE, None)
    assert proven["p95_cpu_us"] > 0


def test_an_installed_model_is_measured_by_its_name(device: Device) -> None:
    device.good(device.add("birds"))
    told = bench("birds", "--data", str(device.tree.root), *QUICK)
    assert (told["target"], told["variant"]) == ("birds", "cpu-int8")


def test_threads_that_are_to_be_found_are_found() -> None:
    assert bench(TINY, "--threads", "auto", *QUICK)["threads"] >= 1


def test_a_sweep_recommends_a_setting_that_fits(whole: Path) -> None:
    told = json.loads(whole.read_text())
    assert told["settings"][0]["threads"] == 1
    assert sum(one["recommended"] for one in told["settings"]) == 1
    assert told["recommended"] in told["settings"]


def test_a_sweep_in_which_nothing_fits_recommends_nothing() -> None:
    words = ("--sweep", "--duration", "0.05", "--no-operators", "--memory-limit", "1")
    assert "no setting fits the limits" in shown(TINY, *words)


def test_what_does_not_run_is_a_row_of_a_sweep(tmp_path: Path) -> None:
    """Its reason stood where p50 stands, and pushed the other figures off the screen."""
    words = ("--backend", "litert", "--backend", "edgetpu", "--duration", "0.05", "--no-operators")
    told = bench(TINY, "--sweep", *words)
    errors = {one["backend"]: one["error"] for one in told["settings"]}
    assert errors["litert"] is None
    assert "Edge TPU" in errors["edgetpu"]
    file = tmp_path / "swept.json"
    file.write_text(json.dumps(told))
    lines = shown(str(file), "--html", str(tmp_path / "page.html")).splitlines()
    (heads,) = (line for line in lines if line.split()[:2] == ["variant", "backend"])
    (row,) = (line for line in lines if line.split()[:2] == ["-", "edgetpu"])
    assert row.split() == ["-", "edgetpu", "1", "-", "-", "-", "-", "does", "not", "run"]
    assert row.index("does") > heads.index("memory")
    assert f"edgetpu, 1 thread: {errors['edgetpu']}" in lines
    (last,) = (
        part for part in (tmp_path / "page.html").read_text().split("<tr>") if "opened" in part
    )
    assert last.startswith("<td>edgetpu, 1 thread</td><td>-</td><td>-</td><td>-</td><td>no Edge")


def test_a_result_is_read_back_as_it_was_printed(whole: Path) -> None:
    assert bench(str(whole)) == json.loads(whole.read_text())


def test_a_limit_that_is_not_kept_is_told() -> None:
    words = shown(TINY, *QUICK, "--latency-limit", "0.001", "--memory-limit", "1")
    assert "! p95 is beyond the limit of 0.00 µs" in words
    assert "! memory is beyond the limit of 1.0 MiB" in words


def test_a_terminal_shows_all_of_it(whole: Path) -> None:
    words = shown(str(whole))
    for part in (
        "p99.9",
        "throughput",
        "the model adds",
        "recommended",
        "B / A",
        "█",
        "▇",
        "share",
        "of a whole inference",
    ):
        assert part in words or part == "▇", part
    assert "tiny_int8_b.tflite: " in words


def test_a_page_needs_nothing_else_and_shows_all_of_it(whole: Path, tmp_path: Path) -> None:
    shown(str(whole), "--html", str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text()
    for part in ("How latencies are spread", "Settings", "Operators", "as a table", "recommended"):
        assert part in text
    assert "<script" not in text
    assert "$" not in text
    assert "src=" not in text


def test_a_name_with_markup_stays_a_name(whole: Path) -> None:
    told = reading.read(whole)
    text = page.render(replace(told, target="<b>x</b>", operators=(), operators_note="<i>note"))
    assert "<b>x" not in text
    assert "<i>note" not in text


CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
def test_a_page_fits_a_telephone(whole: Path, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "page.html"
    file.write_text(page.render(reading.read(whole)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            view = browser.new_page(viewport={"width": 360, "height": 800})
            heard: list[str] = []
            view.on("console", lambda message: heard.append(message.text))
            view.goto(f"file://{file}")
            assert view.evaluate("document.documentElement.scrollWidth") <= 360
            bars = view.evaluate("[...document.querySelectorAll('.plot')].map(p => p.offsetHeight)")
            assert len(bars) >= 2
            assert min(bars) > 100
            assert not heard
        finally:
            browser.close()


def test_a_result_is_shown_although_what_was_to_be_done_with_it_fails(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("bench", str(whole), "--json", "--publish", "--data", str(tmp_path))
    assert door.main(list(words)) == 1
    said = capsys.readouterr()
    assert "[unreachable]" in said.err
    assert json.loads(said.out) == json.loads(whole.read_text())


@pytest.mark.parametrize(
    "words", [("{}", "--compare", TINY), (TINY, "--compare", "{}"), ("{}", "--sweep")]
)
def test_a_result_is_not_measured_again(
    whole: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    status, err = refused(capsys, *(word.format(whole) for word in words))
    assert (status, "expected a model to be measured" in err) == (2, True)


def test_it_is_a_command_of_its_own() -> None:
    done = subprocess.run(
        [str(Path(__import__("sys").executable).with_name("littoral")), "bench", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "Example: littoral bench" in done.stdout

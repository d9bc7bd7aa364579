"""Releases change under load: no request fails for it, and a crash in the middle loses nothing."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")

from patience import patient
from simulators.served import Device, Serve, ask, model, serving

ROOT = Path(__file__).parents[2]


def test_swaps_under_load_fail_no_request_and_a_bad_release_changes_nothing() -> None:
    """The benchmark in short. Its times are not judged here, where other tests run beside it."""
    words = ("--swaps", "120", "--clients", "2", "--quiet", "0.2")
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/swap.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(100),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = {row["what"]: row for row in json.loads(done.stdout)["rows"]}
    assert told["swaps"]["value"] == 120
    assert told["requests meanwhile"]["value"] > 120
    assert told["releases refused that no runtime takes"]["value"] == 2
    for name in (
        "failed requests",
        "orders that went wrong",
        "releases that answered",
        "killed, it came back with what is proven",
    ):
        row = told[name]
        assert row.get("least", -1e9) <= row["value"] <= row.get("most", 1e9), row
    # If sessions stayed, it would be 55 with the model that the benchmark takes where it is there.
    assert told["memory, last quarter over the third"]["value"] < 5


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


def swap_until_it_dies(device: Device, serve: Serve, orders: list[dict[str, Any]]) -> None:
    """Order one release after the other, and kill serve in the middle of one."""

    def kill() -> None:
        begun.wait(30)
        serve.kill()

    begun = threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for number in range(1000):
            ask(device.tree.control, "POST", "/control/activate", orders[number % len(orders)])
            if number == 2:
                begun.set()
    except (OSError, ValueError):
        pass  # that was it
    killer.join(30)


def test_killed_in_the_middle_of_swaps_it_comes_back_with_what_the_journals_call_good(
    device: Device,
) -> None:
    files = [model("tiny_int8"), model("tiny_int8_b"), model("tiny_int8")]
    made = [
        device.add("digits", release=n + 1, data=data, golden_of=data)
        for n, data in enumerate(files)
    ]
    other = device.add("other")
    device.good(other)
    for proven in made:
        device.good(proven)
        with serving(f"--data={device.tree.root}") as serve:
            found = serve.ready["models"]
            assert found == {"digits": proven.manifest.release, "other": 1}
            swap_until_it_dies(device, serve, [one.order for one in made])
    with serving(f"--data={device.tree.root}") as serve:
        assert serve.ready["models"] == {"digits": 3, "other": 1}

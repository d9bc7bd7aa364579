"""Budgets that bench writes into bundles, and into which it does not."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest

from littoral import door
from littoral.bundle.manifest import Manifest
from littoral_serve.bench import budgets, measuring
from simulators.benched import QUICK, TINY, bench, refused, shown
from simulators.served import FIXTURES, Device


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return Device(tmp_path_factory.mktemp("bench") / "data")


def test_a_budget_is_written_from_a_result_of_another_board(device: Device, tmp_path: Path) -> None:
    folder = device.bundle(device.add("digits"), tmp_path / "digits-1")
    told = bench(str(folder), *QUICK)
    told["selftest"] |= {"hardware": "cpu-armv7l", "p95_cpu_us": 2500.2}
    file = tmp_path / "board.json"
    file.write_text(json.dumps(told))
    words = shown(str(file), "--write-budget", str(folder))
    assert "on cpu-armv7l its self-test may take 10001 µs" in words
    held = Manifest.from_json((folder / "manifest.json").read_bytes())
    assert held.selftest.p95_cpu_us == {"cpu-armv7l": 10001.0}
    words = shown(str(file), "--write-budget", str(folder), "--margin", "2")
    held = Manifest.from_json((folder / "manifest.json").read_bytes())
    assert held.selftest.p95_cpu_us == {"cpu-armv7l": float(math.ceil(5000.4))}
    assert (folder / "manifest.json").stat().st_mode & 0o777 == 0o644


def test_a_budget_is_not_written_from_figures_of_another_model(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = device.bundle(device.add("digits"), tmp_path / "digits-1")
    before = (folder / "manifest.json").read_bytes()
    other = device.bundle(
        device.add("digits", data=(FIXTURES / "tiny_int8_b.tflite").read_bytes(), release=2),
        tmp_path / "digits-2",
    )
    file = tmp_path / "board.json"
    file.write_text(json.dumps(bench(str(other), *QUICK)))
    status, words = refused(capsys, str(file), "--write-budget", str(folder))
    assert status == 2
    assert "self-test failed there" in words or "not the measured model" in words
    status, words = refused(capsys, TINY, *QUICK, "--write-budget", str(folder))
    assert status == 2
    assert "expected a bundle to measure" in words
    assert (folder / "manifest.json").read_bytes() == before
    assert budgets.MARGIN == 4


def test_a_budget_that_could_not_be_written_is_refused_before_the_measuring(
    device: Device,
    tmp_path: Path,
    small_disk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a minute went by, and the result was printed, before a wrong bundle was refused."""
    folder = device.bundle(device.add("digits"), tmp_path / "digits-1")
    file = tmp_path / "board.json"
    file.write_text(json.dumps(bench(str(folder), *QUICK)))
    monkeypatch.setattr(measuring, "measured", lambda *_, **__: pytest.fail("it was measured"))
    other = device.bundle(
        device.add("digits", data=(FIXTURES / "tiny_int8_b.tflite").read_bytes(), release=2),
        tmp_path / "digits-2",
    )
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{}")
    locked = small_disk / "digits-1"
    shutil.copytree(folder, locked)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for bundle, code, said in (
        (other, 2, f"{other}: holds digits:2, and not the measured model, digits:1 [usage]"),
        (broken, 1, "[malformed]"),
        (locked, 1, f"{locked / 'manifest.json'}: Read-only file system [storage]"),
    ):
        for target in (folder, file):
            status = door.main(["bench", str(target), "--write-budget", str(bundle)])
            told = capsys.readouterr()
            assert (status, said in told.err, told.out) == (code, True, ""), told

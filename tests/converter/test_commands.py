import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter.conftest import Converted, Littoral
from littoral.trust import writer
from patience import patient


@pytest.mark.parametrize("command", ["convert", "publish"])
def test_help_has_an_example(littoral: Littoral, command: str) -> None:
    ran = littoral(command, "--help")
    assert ran.code == 0
    assert f"Example: littoral {command} " in " ".join(ran.out.split())


def test_people_get_a_table_and_the_way_to_the_report(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    out = tmp_path / "digits-2"
    ran = littoral(
        "convert", models / "digits.keras", "-o", out, "--release", 2,
        "--calibration", models / "train.npz", "--evaluation", models / "test.npz",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert re.fullmatch(r"([\w -]+: (from the cache, it took )?[\d.]+ s\n)+", ran.err), ran.err
    assert "digits:2" in ran.out
    assert re.search(r"accuracy .*%.*%", ran.out)
    assert f"report: {out / 'report.html'}" in ran.out


def test_a_bundle_is_not_replaced_unasked(
    digits: Converted, models: Path, littoral: Littoral
) -> None:
    before = (digits.bundle / "manifest.json").read_bytes()
    ran = littoral(
        "convert", models / "digits.keras", "-o", digits.bundle,
        "--calibration", models / "train.npz",
    )  # fmt: skip
    assert ran.code == 2
    assert re.fullmatch(r"error: .* already holds a bundle; .*--force \[usage\]\n", ran.err)
    assert (digits.bundle / "manifest.json").read_bytes() == before


def test_debug_shows_what_the_child_wrote(models: Path, littoral: Littoral, tmp_path: Path) -> None:
    ran = littoral(
        "--debug", "convert", models / "lambda.keras", "-o", tmp_path / "out",
        "--calibration", models / "vectors.npy",
    )  # fmt: skip
    assert ran.code != 0
    assert "Traceback" in ran.err
    assert "littoral.errors.ConversionError" in ran.err


@pytest.mark.parametrize(
    ("moment", "sent", "more"),
    [
        ("*/read-data.log", signal.SIGINT, ["--no-cache"]),
        ("*/import-keras.log", signal.SIGTERM, ["--no-cache"]),
        ("*/import-keras.log", signal.SIGINT, ["--no-cache"]),
        ("*/quantize.log", signal.SIGINT, ["--recipe", "seed.toml"]),
        ("*/run.log", signal.SIGHUP, []),
        ("*/prove.log", signal.SIGINT, []),
        (".out.*.new", signal.SIGINT, []),
    ],
)
@pytest.mark.usefixtures("digits")
def test_it_can_be_stopped_at_any_moment_and_leaves_nothing(
    models: Path, tmp_path: Path, moment: str, sent: signal.Signals, more: Any
) -> None:
    """And somebody who is impatient says it twice. What was converted before makes it quick."""
    (models / "seed.toml").write_text("[calibration]\nseed = 7\n")
    command = [
        *(sys.executable, "-m", "littoral", "convert", "digits.keras", "-o", tmp_path / "out"),
        *("--calibration", "train.npz", "--evaluation", "test.npz", *more),
    ]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, cwd=models) as process:
        wait_for(lambda: list(tmp_path.glob(moment)) != [], 60)
        born = children(process.pid)
        process.send_signal(sent)
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in born))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("digits")
def test_what_did_not_change_is_not_done_again(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[calibration]\nseed = 3\n[selftest]\ncount = 16\n")
    given = ("convert", models / "digits.keras", "--json", "--calibration", models / "train.npz",
        "--evaluation", models / "test.npz")  # fmt: skip
    first = littoral(*given, "-o", tmp_path / "first", "--recipe", recipe)
    assert re.search(r"read the model: from the cache, it took [\d.]+ s\n", first.err)
    assert re.search(r"quantize: [\d.]+ s\n", first.err), "other samples, so another model"
    recipe.write_text("[calibration]\nseed = 3\n[selftest]\ncount = 8\n")
    again = littoral(*given, "-o", tmp_path / "again", "--recipe", recipe)
    assert "quantize: from the cache" in again.err
    made = (tmp_path / "first/model-int8.tflite").read_bytes()
    assert (tmp_path / "again/model-int8.tflite").read_bytes() == made
    steps = json.loads((tmp_path / "again/report.json").read_text())["steps"]
    cached = {name for name, cost in steps.items() if cost["cached"]}
    assert cached == {"read the model", "quantize"}


def test_a_killed_command_takes_its_child_along(models: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "littoral", "convert", str(models / "digits.keras"),
        "--no-cache", "-o", str(tmp_path / "out"),
        "--calibration", str(models / "train.npz")]  # fmt: skip
    with subprocess.Popen(command, env=os.environ | {"TMPDIR": str(tmp_path)}) as process:
        wait_for(lambda: list(tmp_path.glob("*/import-keras.log")) != [], 30)
        time.sleep(0.5)  # it has told the kernel by then
        (child,) = children(process.pid)
        process.kill()
    wait_for(lambda: not Path(f"/proc/{child}").exists())
    assert not (tmp_path / "out").exists()


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + patient(seconds)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, Path]:
    """A repository that trusts somebody with the digits, and the folder of offline keys."""
    folder, offline = tmp_path / "repo", tmp_path / "offline"
    writer.init(folder, offline=offline, online=tmp_path / "online", fleet="tests")
    writer.delegate(folder, "digits", offline=offline)
    return folder, offline


def test_a_bundle_is_published_once(
    digits: Converted, littoral: Littoral, repository: tuple[Path, Path]
) -> None:
    folder, offline = repository
    publish = ("publish", digits.bundle, "--repo", folder, "--offline", offline)
    said = littoral(*publish, "--json").json
    assert (said["model"], said["release"]) == ("digits", 1)
    manifest = json.loads((digits.bundle / "manifest.json").read_text())
    for file in manifest["files"].values():
        assert (folder / "blobs" / file["sha256"]).stat().st_size == file["size"]
    again = littoral(*publish)
    assert again.code == 1
    assert "[rollback]" in again.err


def test_publish_tells_people_what_comes_next(
    digits: Converted, littoral: Littoral, repository: tuple[Path, Path]
) -> None:
    folder, offline = repository
    ran = littoral("publish", digits.bundle, "--repo", folder, "--offline", offline)
    assert "digits:1 is signed" in ran.out
    assert "littoral fleet releases upload" in ran.out


def test_a_file_that_was_changed_after_conversion_is_not_signed(
    digits: Converted, littoral: Littoral, repository: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, offline = repository
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in digits.bundle.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    with (changed / "model-int8.tflite").open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff\xff")
    ran = littoral("publish", changed, "--repo", folder, "--offline", offline)
    assert ran.code == 1
    assert "[hash]" in ran.err


def test_what_is_no_bundle_is_not_published(
    littoral: Littoral, repository: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, offline = repository
    ran = littoral("publish", tmp_path, "--repo", folder, "--offline", offline)
    assert ran.code == 2
    assert "expected a bundle" in ran.err

"""The same order again gives the same bytes, and whatever else differs was measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from converter.conftest import Converted, Littoral

MEASURED = {"latency", "steps", "proven", "seconds", "peak_bytes", "cpu_s", "p95_cpu_us", "made"}


@pytest.fixture(scope="module")
def again(
    digits: Converted, models: Path, littoral: Littoral, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What ``digits`` is, made a second time, at a time that the environment says."""
    out = tmp_path_factory.mktemp("again") / "digits-1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        ran = littoral(
            "convert", models / "digits.keras", "-o", out, "--json",
            "--calibration", models / "train.npz", "--evaluation", models / "test.npz",
            "--name", "digits", "--label", "2026.11",
            "--labels", digits.bundle.parent / "names.txt",
        )  # fmt: skip
    assert ran.code == 0, ran.err
    return out


@pytest.mark.parametrize(
    "name",
    [
        "model-int8.tflite",
        "golden-inputs.bin",
        "golden-outputs.bin",
        "labels.txt",
        "baseline.json",
    ],
)
def test_what_devices_take_is_the_same_to_the_last_byte(
    digits: Converted, again: Path, name: str
) -> None:
    assert (again / name).read_bytes() == (digits.bundle / name).read_bytes()


def test_of_the_report_only_what_was_measured_differs(digits: Converted, again: Path) -> None:
    first, second = (
        unmeasured(json.loads((bundle / "report.json").read_text()))
        for bundle in (digits.bundle, again)
    )
    assert first == second


def test_the_time_is_the_environments(again: Path) -> None:
    told = json.loads((again / "provenance.json").read_text())["predicate"]["runDetails"]
    assert told["metadata"] == {
        "startedOn": "2023-11-14T22:13:20Z",
        "finishedOn": "2023-11-14T22:13:20Z",
    }
    bill = json.loads((again / "bom.json").read_text())
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    made = json.loads((again / "report.json").read_text())["made"]
    assert made == "2023-11-14T22:13:20+00:00"
    assert "2023-11-14 22:13 UTC" in (again / "report.html").read_text()


def unmeasured(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: unmeasured(v) for k, v in value.items() if k not in MEASURED}
    if isinstance(value, list):
        return [unmeasured(one) for one in value]
    return value

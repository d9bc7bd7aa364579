"""An update whose files come in encodings: what it costs, and what is told of it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.wire.messages import Report
from littoral_agent.settings import Settings
from simulators.device import QUICK, Device
from simulators.encodings import Made, made, offered, patch, sha256, zstd
from simulators.repository import RepositorySimulator

OLD = random.Random(6).randbytes(200_000)
NEW = bytes(b ^ (n % 50 == 0) for n, b in enumerate(OLD)) + bytes(9999)
ZSTD, PATCH = zstd(NEW), patch(NEW, OLD)
BAD = made("patch", PATCH.data[:-5], base=OLD)


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as repo:
        repo.publish(repo.bundle("digits", 1, files={"model.tflite": OLD}))
        yield repo


def publish(repo: RepositorySimulator, *offers: Made) -> None:
    """Publish release 2: all but its model is release 1's."""
    bundle = repo.bundle("digits", 2, files={"model.tflite": NEW})
    repo.publish(offered(bundle, "model.tflite", *offers))


@contextmanager
def updated(
    tmp_path: Path, repo: RepositorySimulator, settings: Settings = QUICK
) -> Iterator[Device]:
    """Make a device on which release 1 was good, and 2 was named."""
    device = Device(tmp_path / "device", repo, settings=settings)
    for release in (1, 2):
        device.order("digits", release)
        device.settle()
    assert device.good("digits") == 2
    assert device.tree.blob(sha256(NEW)).read_bytes() == NEW
    assert not list(device.tree.parts.iterdir())
    yield device
    device.stop()


def fetched(device: Device) -> dict[str, float]:
    """Return the figures of the last download, but for how long it took."""
    updates = [one.update for one in device.reports if one.update]
    figures = [one for one in updates if one.event == "fetched"][-1].figures
    return {name: figures[name] for name in figures if name != "seconds"}


def told(device: Device) -> list[Report]:
    return [one for one in device.reports if one.kind == "encoding"]


def test_a_patch_is_an_update(tmp_path: Path, repo: RepositorySimulator) -> None:
    publish(repo, ZSTD, PATCH)
    with updated(tmp_path, repo) as device:
        assert fetched(device) == {"bytes": len(PATCH.data), "files_patch": 1}
        assert not told(device)


def test_a_bad_patch_is_told_and_the_update_goes_on(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    publish(repo, ZSTD, BAD)
    with updated(tmp_path, repo) as device:
        came = len(BAD.data) + len(ZSTD.data)
        assert fetched(device) == {"bytes": came, "files_zstd": 1, "struck": 1}
        (report,) = told(device)
    assert report.code == "encoding"
    assert report.detail.startswith(f"digits:2: patch {BAD.encoding.sha256[:12]}… of ")
    assert "ends early" in report.detail


def test_a_month_is_charged_for_what_came(tmp_path: Path, repo: RepositorySimulator) -> None:
    """There are enough bytes for the patch, and not for the file."""
    publish(repo, PATCH)
    first = len(OLD) + 74  # with its inputs and outputs
    settings = replace(QUICK, bytes_per_month=first + len(PATCH.data))
    with updated(tmp_path, repo, settings) as device:
        assert fetched(device)["files_patch"] == 1


def test_a_medium_is_asked_for_files_as_they_are(tmp_path: Path, repo: RepositorySimulator) -> None:
    publish(repo, ZSTD, PATCH)
    settings = replace(QUICK, sources=(f"dir:{repo.folder}",))
    with updated(tmp_path, repo, settings) as device:
        assert fetched(device) == {"bytes": len(NEW), "files_plain": 1}
    assert not [name for name in repo.sent if name.startswith("blobs/")]

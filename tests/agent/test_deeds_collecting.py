"""COLLECT: what a journal needs stays, and what is to be tried again is not brought twice."""

from pathlib import Path

import pytest

from littoral.wire.journal import Journal, Quarantine
from littoral_agent.deeds import collecting
from simulators.device import Device
from simulators.repository import RepositorySimulator


@pytest.fixture
def second(device: Device, repo: RepositorySimulator) -> str:
    """Bring release 2 as well, keep nothing of release 1's, and return the second's manifest."""
    device.order("digits", 2)
    device.settle()
    return repo.assignment("digits", 2).manifest_sha256


def here(device: Device) -> set[str]:
    return {path.name for path in device.tree.blobs.iterdir() if path.is_file()}


def manifests(device: Device) -> set[str]:
    return {path.stem for path in device.tree.manifests.iterdir()}


def test_what_journals_need_stays(device: Device, second: str) -> None:
    before = here(device)
    collecting.do(device.tree, device.life.journals, frozenset({second}))
    assert (here(device), second in manifests(device)) == (before, True)


def test_what_nobody_needs_goes(device: Device, second: str) -> None:
    stray = device.tree.blob("f" * 64)
    stray.write_bytes(b"of nobody")
    collecting.do(device.tree, {"digits": Journal(model="digits")}, frozenset())
    assert (here(device), second in manifests(device)) == (set(), False)


def test_what_is_in_quarantine_is_not_kept_for_being_named(device: Device, second: str) -> None:
    held = Journal(model="digits", quarantine={second: Quarantine(code="crash", attempt=0)})
    collecting.do(device.tree, {"digits": held}, frozenset({second}))
    assert second not in manifests(device)


def test_nothing_goes_while_a_model_is_not_proven_again(device: Device) -> None:
    """Its journal was lost: what it needs is not known."""
    path: Path = device.tree.journal("faces")
    path.with_name("faces.json.unreadable-1").write_bytes(b"lost")
    before = here(device)
    collecting.do(device.tree, {"digits": Journal(model="digits")}, frozenset())
    assert here(device) == before

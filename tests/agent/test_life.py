"""Real updates over real HTTP, with real signatures, on a real disk: what an ordinary life is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.wire.control import Tried
from littoral.wire.journal import State
from simulators.device import QUICK, Device
from simulators.repository import Fault, RepositorySimulator


def test_an_update_arrives_proves_itself_and_stays(device: Device) -> None:
    device.order("digits", 2)
    device.settle()
    assert device.told("digits") == [
        ("desired", None),
        ("fetched", None),
        ("passed", None),
        ("healthy", None),
    ]
    device.reboot()
    device.settle()
    assert (device.good("digits"), device.serve.running) == (2, {"digits": 2})
    assert len(device.told("digits")) == 4, "waking in idle is no news"


def test_a_release_can_be_gone_back_to_on_purpose_without_a_download(
    device: Device, repo: RepositorySimulator
) -> None:
    device.order("digits", 2)
    device.settle()
    repo.requests.clear()
    device.order("digits", 1)
    device.settle()
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})
    assert not [name for name, _ in repo.requests if name.startswith(("blobs/", "targets/"))]


@pytest.mark.parametrize("code", ["outputs", "latency", "crash"])
def test_a_candidate_that_fails_its_test_never_serves_and_is_not_tried_again(
    device: Device, repo: RepositorySimulator, code: str
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.tried[manifest] = Tried(code=code, detail="not as promised")
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-1] == ("failed", code)
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})
    tries = device.serve.calls.count("try")
    device.order("digits", 2)
    device.settle()
    assert device.serve.calls.count("try") == tries
    assert device.told("digits")[-1] == ("refused", code)
    device.serve.tried.clear()
    device.order("digits", 2, attempt=1)
    device.settle()
    assert device.good("digits") == 2


def test_a_newer_wish_supersedes_a_running_download(
    device: Device, repo: RepositorySimulator
) -> None:
    big = {"model.tflite": os.urandom(2_000_000)}
    repo.publish(repo.bundle("digits", 3, files=big))
    device.order("digits", 3)

    repo.fault("blobs/*", Fault.CUT, times=1)
    device.settle(lambda: any(device.tree.parts.iterdir()))
    assert device.state("digits") is State.FETCHING
    device.order("digits", 2)
    device.settle()
    assert device.good("digits") == 2
    assert not list(device.tree.parts.iterdir())


def test_what_is_named_again_drops_the_candidate(device: Device, repo: RepositorySimulator) -> None:
    repo.fault("blobs/*", Fault.BROKEN)
    device.order("digits", 2)
    device.settle(lambda: device.state("digits") is State.FETCHING)
    device.order("digits", 1)
    device.settle()
    assert device.told("digits")[-1] == ("dropped", None)
    assert device.state("digits") is State.IDLE


def test_a_model_that_is_not_named_does_not_run(device: Device, repo: RepositorySimulator) -> None:
    repo.publish(repo.bundle("sounds", 1))
    both = [repo.assignment("digits", 1), repo.assignment("sounds", 1)]
    device.hear(device.document(*both))
    device.settle()
    assert device.serve.running == {"digits": 1, "sounds": 1}
    device.hear(device.document(repo.assignment("sounds", 1)))
    device.settle()
    assert device.serve.running == {"sounds": 1}
    assert device.told("digits")[-1] == ("removed", None)
    device.reboot()
    device.settle()
    assert device.serve.running == {"sounds": 1}


def test_files_that_nobody_needs_are_collected(device: Device, repo: RepositorySimulator) -> None:
    for release in (3, 4, 5):
        repo.publish(repo.bundle("digits", release))
    for release in (2, 3, 4, 5):
        device.order("digits", release)
        device.settle()
    held = {path.stem for path in device.tree.manifests.iterdir()}
    kept = {repo.assignment("digits", release).manifest_sha256 for release in (3, 4, 5)}
    assert held == kept
    # Each release has a model of its own, and shares its golden vectors with the others.
    assert len([path for path in device.tree.blobs.iterdir() if path.is_file()]) == 3 + 2


def test_what_was_ended_by_a_document_that_was_not_believed_yet_is_collected_once_it_is(
    device: Device, repo: RepositorySimulator
) -> None:
    """It is ended at once, and named until somebody was asked: its files stayed for ever."""
    device.settings = replace(QUICK, probation_s=3600.0)
    device.restart_agent()
    device.order("digits", 2)
    device.settle(lambda: device.state("digits") is State.PROBATION)
    device.wishes.hear(device.document(repo.assignment("digits", 1)))
    for _ in range(3):
        device.life.work()
        device.worker._hands.settle()
    assert device.told("digits")[-1] == ("dropped", None)
    device.settle()
    left = repo.assignment("digits", 2).manifest_sha256
    assert not device.tree.manifest(left).exists()


def test_a_pinned_release_is_gone_back_to_without_a_download(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    settings = replace(QUICK, keep=0, pinned=("digits:1", "sounds:2"))
    device = Device(tmp_path / "pinned", repo, settings=settings)
    repo.publish(repo.bundle("digits", 3))
    for release in (1, 2, 3):
        device.order("digits", release)
        device.settle()
    held = {path.stem for path in device.tree.manifests.iterdir()}
    assert held == {repo.assignment("digits", release).manifest_sha256 for release in (1, 3)}
    repo.requests.clear()
    device.order("digits", 1)
    device.settle()
    assert device.serve.running == {"digits": 1}
    assert not [name for name, _ in repo.requests if name.startswith("blobs/")]
    device.stop()


def test_serve_is_down_for_a_while(device: Device) -> None:
    device.serve.stop()
    device.order("digits", 2)
    device.settle(lambda: device.state("digits") is State.TESTING)
    for _ in range(20):
        device.turn()
    assert device.life.journals["digits"].tries == 0
    device.serve.start()
    device.settle()
    assert (device.good("digits"), device.serve.running) == (2, {"digits": 2})

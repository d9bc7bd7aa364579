"""Real updates that are refused, or of which nobody can tell yet: and what becomes of each."""

import hashlib
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from littoral.bundle.manifest import Hardware
from littoral_agent import origin
from simulators.device import QUICK, Device
from simulators.repository import Fault, RepositorySimulator


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.FLIPPED_BIT, "hash"),
        (Fault.TRUNCATED, "hash"),
        (Fault.ENDLESS, "endless"),
        (Fault.NOT_FOUND, "forgotten"),
    ],
)
def test_blobs_that_are_not_what_was_signed_are_refused_and_reported_once(
    device: Device, repo: RepositorySimulator, fault: Fault, code: str
) -> None:
    repo.fault("blobs/*", fault)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits") == [("desired", None), ("refused", code)]
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})
    for _ in range(3):
        device.restart_agent()
        device.settle()
    assert device.told("digits") == [("desired", None), ("refused", code)]
    repo.honest()
    device.restart_agent()
    device.settle()
    assert device.good("digits") == 2


def test_a_full_disk_is_refused_before_the_first_byte_and_lifted_by_room(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    greedy = replace(QUICK, disk_reserve_bytes=2**62)
    device = Device(tmp_path / "full", repo, settings=greedy)
    device.order("digits", 1)
    device.settle()
    assert device.told("digits")[-1] == ("refused", "disk-full")
    device.settings = QUICK
    device.restart_agent()
    device.settle()
    assert device.good("digits") == 1
    device.stop()


def test_an_unreachable_repository_is_no_verdict(device: Device, repo: RepositorySimulator) -> None:
    repo.fault("blobs/*", Fault.BROKEN, times=4)
    repo.fault("metadata/*", Fault.BROKEN, times=2)
    device.order("digits", 2)
    device.settle()
    assert [event for event, _ in device.told("digits")] == [
        "desired",
        "fetched",
        "passed",
        "healthy",
    ]


@pytest.mark.parametrize("fault", [Fault.REDIRECTED, Fault.NO_STATUS, Fault.CUT_REFUSAL])
@pytest.mark.parametrize("files", ["metadata/*", "targets/*", "blobs/*"])
def test_whoever_answers_in_the_repositorys_stead_ends_no_agent(
    device: Device, repo: RepositorySimulator, fault: Fault, files: str
) -> None:
    """A captive portal, a proxy without a server behind it: the agent died of each, for ever."""
    repo.fault(files, fault, times=4)
    device.order("digits", 2)
    device.settle()
    steps = ["desired", "fetched", "passed", "healthy"]
    assert [event for event, _ in device.told("digits")] == steps


@pytest.mark.parametrize("files", ["metadata/*", "targets/*", "blobs/*"])
def test_a_repository_that_wants_a_password_is_told(
    device: Device, repo: RepositorySimulator, files: str
) -> None:
    repo.fault(files, Fault.UNAUTHORIZED)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-1] == ("refused", "denied")
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})


def test_metadata_that_trickles_is_not_waited_for(
    device: Device, repo: RepositorySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte a second is never silence: the agent sat in one read for days."""
    monkeypatch.setattr(origin, "SLOW_OVER_S", 0.3)
    repo.fault("metadata/timestamp.json", Fault.SLOW)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-1] == ("refused", "slow")
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})


def test_what_arrived_of_a_refused_release_is_kept_while_it_is_named(
    device: Device, repo: RepositorySimulator
) -> None:
    big = {"model.tflite": os.urandom(300_000), "outputs.bin": os.urandom(10)}
    repo.publish(repo.bundle("digits", 3, files=big))
    outputs = hashlib.sha256(big["outputs.bin"]).hexdigest()
    repo.fault(f"blobs/{outputs}", Fault.NOT_FOUND)
    device.order("digits", 3)
    device.settle()
    assert device.told("digits")[-1] == ("refused", "forgotten")
    repo.honest()
    repo.requests.clear()
    device.restart_agent()
    device.settle()
    assert device.good("digits") == 3
    assert [name for name, _ in repo.requests if name.startswith("blobs/")] == [f"blobs/{outputs}"]


HARDWARE: tuple[Hardware, ...] = ("edgetpu-usb",)


def test_a_release_for_other_hardware_is_refused(device: Device, repo: RepositorySimulator) -> None:
    repo.publish(repo.bundle("digits", 3, hardware=HARDWARE))
    device.hear(device.document(repo.assignment("digits", 3, hardware="edgetpu-usb")))
    device.settle()
    assert device.told("digits") == [("refused", "wrong-hardware")]
    assert device.serve.running == {"digits": 1}
    # The same wish in a later document is told of again, and only then.
    device.restart_agent()
    device.settle()
    assert len(device.told("digits")) == 1
    device.hear(device.document(repo.assignment("digits", 3, hardware="edgetpu-usb")))
    device.settle()
    assert len(device.told("digits")) == 2


def test_metadata_signed_by_a_stranger_is_refused(
    device: Device, repo: RepositorySimulator
) -> None:
    repo.publish(repo.bundle("digits", 3))
    wanted = repo.assignment("digits", 3)
    newest = max(
        repo.folder.glob("metadata/*.digits.json"), key=lambda p: int(p.name.split(".")[0])
    )
    repo.sign_as_stranger(newest.relative_to(repo.folder).as_posix())
    device.hear(device.document(wanted))
    device.settle()
    assert device.told("digits") == [("refused", "signature")]
    assert device.serve.running == {"digits": 1}


def test_a_release_below_the_floor_is_refused(device: Device, repo: RepositorySimulator) -> None:
    repo.publish(repo.bundle("digits", 3), floor=3)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits") == [("refused", "floor")]
    assert device.serve.running == {"digits": 1}, "the last good release stays the fall-back"


def test_documents_for_others_and_older_ones_are_refused_once(
    device: Device, repo: RepositorySimulator
) -> None:
    device.order("digits", 2)
    device.settle()
    older = repo.director(repo.assignment("digits", 1), device="pi-7", version=1)
    for document in (older, older, repo.director(device="pi-8", version=90)):
        device.hear(document)
        device.settle()
    told = [(one.kind, one.code) for one in device.reports if one.kind == "director"]
    assert told == [("director", "rollback"), ("director", "wrong-device")]
    assert device.good("digits") == 2


def test_a_document_that_was_refused_is_not_judged_each_time_it_comes(
    device: Device, repo: RepositorySimulator
) -> None:
    stranger = repo.director(device="pi-8", version=90)
    device.hear(stranger)
    device.settle()
    repo.requests.clear()
    for _ in range(5):
        device.hear(stranger)
        device.settle()
    assert repo.requests == []
    device.order("digits", 2)
    device.settle()
    assert device.good("digits") == 2


def test_a_page_in_place_of_a_newer_root_is_not_what_is_wrong_with_a_document(
    device: Device, repo: RepositorySimulator
) -> None:
    """It was refused for ever as malformed, though another root may come and explain it."""
    repo.override["metadata/2.root.json"] = b"<html>Accept our terms</html>"
    document = json.loads(device.document(repo.assignment("digits", 2)))
    document["signatures"][0]["sig"] = "00" * 64
    device.hear(json.dumps(document).encode())
    device.settle()
    assert [one.code for one in device.reports if one.kind == "director"] == ["signature"]


def test_what_was_refused_is_looked_at_again_after_a_while(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    device = Device(tmp_path / "device", repo, settings=replace(QUICK, refused_retry_s=0.2))
    repo.fault("blobs/*", Fault.NOT_FOUND, times=2)
    device.later = timedelta(days=-40)
    device.order("digits", 1)
    device.settle(lambda: device.told("digits")[-1:] == [("refused", "forgotten")])
    device.settle(lambda: device.good("digits") == 1)
    assert device.told("digits").count(("refused", "forgotten")) == 1
    device.stop()

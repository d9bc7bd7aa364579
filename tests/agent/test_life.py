"""Real updates: real HTTP, real signatures, real disk, and power cut at every moment there is."""

import errno
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from littoral import durable
from littoral.bundle.manifest import Hardware
from littoral.errors import StorageError
from littoral.wire import journal
from littoral.wire.control import Tried
from littoral.wire.journal import State
from littoral_agent import fetch, origin, spool
from littoral_agent.deeds import running
from simulators.boards import BoardSimulator
from simulators.device import QUICK, Device
from simulators.repository import Fault, RepositorySimulator
from simulators.serve import DeniedOrderError


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as repo:
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        yield repo


@pytest.fixture
def device(tmp_path: Path, repo: RepositorySimulator) -> Iterator[Device]:
    """A device on which release 1 is good."""
    device = Device(tmp_path / "device", repo)
    device.order("digits", 1)
    device.settle()
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})
    device.spool.acknowledge({m.stream: m.sequence for m in device.spool.messages({}, limit=99)})
    yield device
    device.stop()


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


@pytest.mark.parametrize("code", ["memory", "deadline"])
def test_what_may_be_nobodys_fault_gets_three_tries(
    device: Device, repo: RepositorySimulator, code: str
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.tried[manifest] = Tried(code=code)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[2:] == [("stumbled", code), ("stumbled", code), ("failed", code)]


@pytest.mark.parametrize("code", ["outputs", "unhealthy"])
def test_a_candidate_that_fails_on_probation_is_gone_at_once(
    device: Device, repo: RepositorySimulator, code: str
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.probed[manifest] = Tried(code=code)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-1] == ("failed", code)
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})


def test_serves_deaths_count_and_the_candidate_is_ordered_again(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    device = Device(tmp_path / "slow", repo, settings=replace(QUICK, probation_s=3600.0))
    first = replace(QUICK)
    device.settings = first
    device.order("digits", 1)
    device.settle(lambda: device.serve.running == {"digits": 1})
    for n in (1, 2):
        device.settle(lambda: device.serve.calls[-1:] == ["probe"])
        device.serve.crash()
        assert device.serve.running == {}, "a candidate is not loaded by itself"
        device.serve.calls.clear()
        device.settle(lambda: device.serve.running == {"digits": 1})
        assert device.life.journals["digits"].tries == n
    device.turn()
    device.serve.crash()
    device.settle(lambda: device.state("digits") is State.IDLE)
    assert device.told("digits")[-1] == ("failed", "crash")
    assert device.serve.running == {}
    device.stop()


def test_serve_that_cannot_run_it_here_is_no_fault_of_the_release(
    device: Device, repo: RepositorySimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.denied[manifest] = DeniedOrderError("backend-missing", "no such runtime")
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-1] == ("refused", "backend-missing")
    assert not device.life.journals["digits"].quarantine
    assert device.serve.running == {"digits": 1}


def test_a_candidate_that_passed_and_cannot_be_loaded_gets_three_tries(
    device: Device, repo: RepositorySimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.denied[manifest] = DeniedOrderError("backend", "it does not load")
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-3:] == [
        ("stumbled", "backend"),
        ("stumbled", "backend"),
        ("failed", "backend"),
    ]
    assert device.serve.running == {"digits": 1}


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


def test_damage_on_the_disk_is_mended(device: Device) -> None:
    for path in device.tree.blobs.iterdir():
        if path.is_file():
            path.unlink()
    for path in device.tree.manifests.iterdir():
        path.write_bytes(b"{}")
    device.serve.crash()
    assert device.serve.running == {}
    device.worker.serve_started()
    device.settle()
    assert device.serve.running == {"digits": 1}


def test_a_journal_that_cannot_be_read_is_kept_and_the_model_proven_again_offline(
    device: Device, repo: RepositorySimulator
) -> None:
    path = device.tree.journal("digits")
    whole = path.read_bytes()
    repo.fault("*", Fault.BROKEN)
    for size in (0, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        device.restart_agent()
        assert device.serve.running == {"digits": 1}, "serve goes on serving"
        device.settle(lambda: device.good("digits") == 1)
        assert device.serve.running == {"digits": 1}
        device.reboot()
        device.settle()
        assert device.serve.running == {"digits": 1}
    aside = sorted(device.tree.journals.glob("digits.json.unreadable-*"))
    assert [len(path.read_bytes()) for path in aside] == [0, len(whole) // 2, len(whole) - 1]
    assert [one.kind for one in device.reports].count("journal") == 3


def test_a_journal_lost_while_another_release_is_on_its_way_loses_no_working_model(
    device: Device, repo: RepositorySimulator
) -> None:
    """The document named release 2, which was not here yet: release 1 was forgotten."""
    repo.fault("blobs/*", Fault.BROKEN)
    device.order("digits", 2)
    device.settle(lambda: device.state("digits") is State.FETCHING)
    device.tree.journal("digits").write_bytes(b"")
    device.reboot()
    assert device.serve.running == {"digits": 1}
    device.settle(lambda: device.state("digits") is State.FETCHING)
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})
    repo.honest()
    device.settle()
    assert (device.good("digits"), device.serve.running) == (2, {"digits": 2})


def test_a_model_that_was_removed_does_not_come_back_with_a_lost_journal(device: Device) -> None:
    device.hear(device.document())
    device.settle()
    device.tree.journal("digits").write_bytes(b"")
    device.reboot()
    device.settle()
    assert device.serve.running == {}


def test_a_lost_document_is_said_and_the_next_one_taken(device: Device) -> None:
    device.tree.desired.write_bytes(b"{]")
    device.restart_agent()
    device.settle()
    assert device.serve.running == {"digits": 1}
    assert [(one.kind, one.code) for one in device.reports] == [("journal", "journal")]
    device.order("digits", 2)
    device.settle()
    assert device.good("digits") == 2


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


def test_going_back_does_not_wait_for_a_full_disk(
    tmp_path: Path, repo: RepositorySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(tmp_path / "device", repo)
    device.order("digits", 1)
    device.settle()
    device.settings = replace(QUICK, probation_s=3600.0)
    device.restart_agent()
    device.order("digits", 2)
    device.settle(lambda: device.serve.running == {"digits": 2})

    def full(*_: object, **__: object) -> None:
        raise StorageError("no space left on the device")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "replace_from", full)
        device.serve.traffic("digits", requests=50, errors=50)
        device.settle(lambda: device.serve.running == {"digits": 1})
    device.settle()
    device.reboot()
    assert device.life.journals["digits"].quarantine
    assert device.serve.running == {"digits": 1}
    assert device.told("digits")[-1] == ("failed", "unhealthy")
    device.stop()


def test_a_lost_journal_is_proven_again_even_when_all_that_was_signed_is_over(
    device: Device, repo: RepositorySimulator
) -> None:
    repo.fault("*", Fault.BROKEN)
    device.later = timedelta(days=400)
    device.tree.journal("digits").write_text("{")
    journal.proven(device.tree.journal("digits")).write_text("{")
    device.reboot()
    assert device.serve.running == {}, "nobody calls anything good"
    device.settle(lambda: device.good("digits") == 1)
    assert device.serve.running == {"digits": 1}


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


# The worst case.


class PowerCutError(BaseException):
    """Not an Exception: no code gets to tidy up after the power is gone."""


@contextmanager
def cut_after(writes: int, *, done: bool) -> Iterator[None]:
    """Cut the power at the n-th durable write: before it, or (``done``) right after it."""
    left = itertools.count(writes, -1)

    def cutting(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            last = next(left) == 0
            if last and not done:
                raise PowerCutError
            result = real(*args, **kwargs)
            if last:
                raise PowerCutError
            return result

        return write

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "replace_from", cutting(durable.replace_from))
        patch.setattr(durable, "remove", cutting(durable.remove))
        patch.setattr(fetch._Part, "keep", cutting(fetch._Part.keep))
        patch.setattr(spool.Spool, "add", cutting(spool.Spool.add))
        patch.setattr(Path, "unlink", cutting(Path.unlink))
        yield


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fails", [False, True], ids=["healthy", "failing"])
def test_power_may_be_cut_at_any_moment(
    tmp_path: Path, repo: RepositorySimulator, device: Device, *, done: bool, fails: bool
) -> None:
    """Cut at the n-th write, for every n: the device wakes with a working model, and goes on."""
    repo.publish(repo.bundle("digits", 3))
    wanted = 1 if fails else 3
    manifest = repo.assignment("digits", 3).manifest_sha256
    document = repo.director(repo.assignment("digits", 3), device="pi-7", version=50)
    device.stop()
    seen = set()
    for n in itertools.count():
        root = tmp_path / f"cut-{n}"
        shutil.copytree(device.tree.root, root)
        cut = Device(root, repo, settings=replace(QUICK, keep=0))
        if fails:
            cut.serve.probed[manifest] = Tried(code="outputs")
        cut.hear(document)
        try:
            with cut_after(n, done=done):
                cut.settle()
        except PowerCutError:
            cut.stop()
            cut.serve.start()
            assert cut.serve.running in ({"digits": 1}, {"digits": 3}), n
            seen.add(cut.serve.running["digits"])
            cut.start_agent("another boot")
            cut.hear(document)  # it is retained: it comes again
            cut.settle()
            assert (cut.good("digits"), cut.serve.running) == (wanted, {"digits": wanted}), n
            _check_reports(cut, n, "failed" if fails else "healthy")
            cut.stop()
            shutil.rmtree(root)
        else:
            cut.stop()
            break
    assert n >= 14
    assert seen == ({1} if fails else {1, 3})


def _check_reports(device: Device, n: int, last: str) -> None:
    sent = device.reports
    assert [one.key.sequence for one in sent][-1] == len(sent) + sent[0].key.sequence - 1
    events = [event for event, _ in device.told("digits")]
    assert events.count(last) == 1, (n, events)
    assert events.count("desired") == 1, (n, events)
    assert "refused" not in events, (n, events)


def test_the_agent_alone_may_be_killed_at_any_moment_and_as_often_as_one_likes(
    tmp_path: Path, repo: RepositorySimulator, device: Device
) -> None:
    document = repo.director(repo.assignment("digits", 2), device="pi-7", version=50)
    device.stop()
    root = tmp_path / "killed"
    shutil.copytree(device.tree.root, root)
    killed = Device(root, repo)
    killed.hear(document)
    for n in itertools.count():
        try:
            with cut_after(n % 4, done=bool(n % 2)):
                killed.settle()
        except PowerCutError:
            assert killed.serve.running in ({"digits": 1}, {"digits": 2}), n
            killed.restart_agent()
            killed.hear(document)
        else:
            break
        assert n < 200
    assert killed.good("digits") == 2
    assert not killed.life.journals["digits"].quarantine
    killed.stop()


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


STEPS = ["desired", "fetched", "passed", "healthy"]


def test_reports_that_no_disk_takes_are_not_lost_with_the_agent(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal can be written and the spool cannot: the log of SQLite needs the more room."""

    def full(*_: object, **__: object) -> bool:
        raise StorageError("no space left on the device")

    with monkeypatch.context() as patch:
        patch.setattr(spool.Spool, "add", full)
        device.order("digits", 2)
        device.settle(lambda: device.good("digits") == 2)
        device.restart_agent()
        device.settle()
    device.restart_agent()
    device.settle()
    assert [event for event, _ in device.told("digits")] == STEPS
    device.order("digits", 1)
    device.settle()
    assert not device.life.journals["digits"].untold


@pytest.mark.parametrize("what", ["read_bytes", "glob"])
def test_a_journal_that_the_disk_does_not_give_once_is_not_called_broken(
    device: Device, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    real, looks = getattr(Path, what), iter((True,))
    where = {device.tree.journal("digits"), device.tree.journals}

    def refusing(path: Path, *more: str) -> Any:
        if path in where and more in {(), ("*.json",)} and next(looks, False):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, what, refusing)
        device.restart_agent()
        device.settle()
    assert device.good("digits") == 1
    assert not list(device.tree.journals.glob("*unreadable*"))


def test_a_step_back_that_the_disk_did_not_keep_is_told_once(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.settings = replace(QUICK, probation_s=3600.0)
    device.restart_agent()
    device.order("digits", 2)
    device.settle(lambda: device.serve.running == {"digits": 2})

    def refused(*_: object, **__: object) -> None:
        raise StorageError("Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "write", refused)
        device.order("digits", 1)
        device.settle(lambda: device.serve.running == {"digits": 1})
    device.restart_agent()
    device.settle()
    assert [event for event, _ in device.told("digits")].count("dropped") == 1


def test_what_is_proven_is_written_beside_its_journal_when_the_disk_takes_it_again(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("no space left on the device")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "write_proven", full)
        device.order("digits", 2)
        device.settle()
    device.settle()
    held = journal.read_proven(device.tree.journal("digits"))
    assert held is not None
    assert held.good is not None
    assert held.good.release == 2


def test_a_model_that_was_removed_stops_although_the_agent_was_killed_before_it_did(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise StorageError("killed before it was done")

    with monkeypatch.context() as patch:
        patch.setattr(running, "stop", killed)
        device.hear(device.document())
        device.settle(lambda: device.life.journals["digits"].good is None)
    device.restart_agent()
    device.settle()
    assert device.serve.running == {}
    device.order("digits", 1)
    device.settle()
    assert device.serve.running == {"digits": 1}


@pytest.mark.parametrize("killed", [False, True])
def test_a_first_release_that_is_dropped_on_probation_serves_no_more(
    tmp_path: Path, repo: RepositorySimulator, *, killed: bool
) -> None:
    """There is nothing to go back to: with the agent, it was forgotten that it had to stop."""
    device = Device(tmp_path / "first", repo, settings=replace(QUICK, probation_s=3600.0))
    device.order("digits", 1)
    device.settle(lambda: device.serve.running == {"digits": 1})
    repo.fault("*", Fault.NOT_FOUND)
    with pytest.MonkeyPatch.context() as patch:
        if killed:
            patch.setattr(running, "do", lambda *_: None)
        device.order("digits", 2)
        device.settle()
    device.restart_agent()
    device.settle()
    assert device.serve.running == {}
    device.stop()


@pytest.fixture
def board(tmp_path: Path) -> BoardSimulator:
    board = BoardSimulator(tmp_path / "machine")
    board.raspberry(throttled=HOT)
    return board


@pytest.fixture
def hot(tmp_path: Path, repo: RepositorySimulator, board: BoardSimulator) -> Iterator[Device]:
    """A device on which release 1 is good, busy, and the board slowed down by heat."""
    settings = replace(QUICK, probation_p95_slack_us=0.0)
    device = Device(tmp_path / "hot", repo, settings=settings, machine=board.root)
    device.order("digits", 1)
    device.settle()
    device.serve.traffic("digits", requests=50, p95_us=100)
    yield device
    device.stop()


HOT = 0x4  # of the firmware's bits: throttled now


def test_a_self_test_that_was_slow_on_a_throttled_board_gets_three_tries(
    hot: Device, repo: RepositorySimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    hot.serve.tried[manifest] = Tried(code="latency", detail="too slow")
    hot.order("digits", 2)
    hot.settle()
    steps = ["stumbled", "stumbled", "failed"]
    assert hot.told("digits")[-3:] == [(step, "throttled") for step in steps]
    assert (hot.good("digits"), hot.serve.running) == (1, {"digits": 1})


def test_what_was_slow_on_a_throttled_board_alone_is_good_when_it_has_cooled(
    hot: Device, repo: RepositorySimulator, board: BoardSimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    hot.serve.tried[manifest] = Tried(code="latency", detail="too slow")
    hot.order("digits", 2)
    hot.settle(lambda: hot.life.journals["digits"].tries == 1)
    board.raspberry()
    hot.serve.tried.clear()
    hot.settle()
    assert hot.good("digits") == 2


def test_slow_requests_on_probation_do_not_count_once_the_board_has_cooled(
    hot: Device, board: BoardSimulator
) -> None:
    hot.settings = replace(hot.settings, probation_s=0.5)
    hot.restart_agent()
    hot.order("digits", 2)
    hot.settle(lambda: hot.serve.running == {"digits": 2})
    hot.serve.traffic("digits", requests=50, p95_us=900)
    hot.settle(lambda: hot.told("digits")[-1:] == [("stumbled", "throttled")])
    assert hot.state("digits") is State.PROBATION
    board.raspberry()
    hot.serve.traffic("digits", requests=50, p95_us=100)
    hot.settle()
    assert hot.told("digits")[-1] == ("healthy", None)


def test_slow_requests_on_a_cool_board_are_the_candidates_own_fault(
    hot: Device, board: BoardSimulator
) -> None:
    board.raspberry()
    hot.settings = replace(hot.settings, probation_s=60.0)
    hot.restart_agent()
    hot.order("digits", 2)
    hot.settle(lambda: hot.serve.running == {"digits": 2})
    hot.serve.traffic("digits", requests=50, p95_us=900)
    hot.settle()
    assert hot.told("digits")[-1] == ("failed", "latency")
    assert hot.serve.running == {"digits": 1}


def test_three_power_cuts_on_probation_end_it(tmp_path: Path, repo: RepositorySimulator) -> None:
    device = Device(tmp_path / "dark", repo, settings=replace(QUICK, probation_s=3600.0))
    device.order("digits", 1)
    for tries in range(3):
        device.settle(lambda: device.serve.running == {"digits": 1})
        assert device.life.journals["digits"].tries == tries
        device.reboot()
    device.settle()
    assert device.told("digits")[-1] == ("failed", "unhealthy")
    assert device.serve.running == {}
    device.stop()


def _past(deadline_s: float) -> bool:
    return time.monotonic() > deadline_s


def test_probation_adds_up_over_reboots_that_let_the_agent_stop(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    device = Device(tmp_path / "often", repo, settings=replace(QUICK, probation_s=0.6))
    device.order("digits", 1)
    device.settle(lambda: device.serve.running == {"digits": 1})
    starts = 0
    while device.good("digits") is None:
        device.settle(partial(_past, time.monotonic() + 0.25))
        device.life.promises.rest()
        device.reboot()
        starts += 1
    assert 2 <= starts <= 5
    assert device.life.journals["digits"].tries == 0
    device.stop()


def test_a_model_that_nobody_asks_is_probed_at_the_start_and_at_the_end(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    device = Device(tmp_path / "idle", repo, settings=replace(QUICK, probation_s=0.3))
    device.order("digits", 1)
    device.settle()
    assert device.good("digits") == 1
    assert device.serve.calls.count("probe") == 2
    device.stop()


def test_what_runs_when_a_third_release_comes_while_the_second_is_on_probation(
    device: Device, repo: RepositorySimulator
) -> None:
    """The proven one, and nothing else, until the third has proven itself; and it is said."""
    repo.publish(repo.bundle("digits", 3))
    device.settings = replace(QUICK, probation_s=3600.0)
    device.restart_agent()
    device.order("digits", 2)
    device.settle(lambda: device.serve.running == {"digits": 2})
    repo.fault("blobs/*", Fault.BROKEN)
    device.order("digits", 3)
    device.settle(lambda: device.state("digits") is State.FETCHING)
    device.settle(lambda: device.serve.running == {"digits": 1})
    dropped = [one.update for one in device.reports if one.update][-2]
    assert (dropped.event, dropped.release, dropped.running) == ("dropped", 2, 1)
    assert dropped.detail == "release 2 was on probation; release 1, which is proven, runs again"

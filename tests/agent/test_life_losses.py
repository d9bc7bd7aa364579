"""Real updates on a disk that loses, damages or refuses what was promised."""

import errno
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from littoral import durable
from littoral.errors import StorageError
from littoral.wire import journal
from littoral.wire.journal import State
from littoral_agent import spool
from simulators.device import QUICK, Device
from simulators.repository import Fault, RepositorySimulator

STEPS = ["desired", "fetched", "passed", "healthy"]


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


@pytest.mark.parametrize("what", ["read_bytes", "iterdir"])
def test_a_journal_that_the_disk_does_not_give_once_is_not_called_broken(
    device: Device, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    real, looks = getattr(Path, what), iter((True,))
    where = {device.tree.journal("digits"), device.tree.journals}

    def refusing(path: Path, *more: str) -> Any:
        if path in where and not more and next(looks, False):
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

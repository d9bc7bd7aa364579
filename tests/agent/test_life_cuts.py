"""Real updates, and power cut, or the agent killed, at every moment there is."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from littoral import durable
from littoral.errors import StorageError
from littoral.wire.control import Tried
from littoral_agent import part, spool
from littoral_agent.deeds import running
from simulators.device import QUICK, Device
from simulators.repository import RepositorySimulator


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
        patch.setattr(part.Part, "keep", cutting(part.Part.keep))
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

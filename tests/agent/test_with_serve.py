"""The agent and serve, both real: what the one orders, the other runs."""

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")

from littoral.errors import LittoralError
from littoral.wire.journal import State
from littoral_agent.control import Control
from simulators.fleet import Fleet
from simulators.served import Device, model, serving

SERVE = "window_s = 0.2\n"


class Sea(Fleet):
    """A fleet whose device has a real serve."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.serve.stop()
        return self

    def publish(self, release: int, *, data: bytes, golden_of: bytes | None = None) -> None:
        """Publish a real model with golden outputs of its own, or of another one."""
        press = Device(self.repo.base / "press")
        made = press.add("digits", release=release, data=data, golden_of=golden_of or data)
        bundle = self.repo.base / "made" / str(release)
        bundle.mkdir(parents=True)
        (bundle / "manifest.json").write_bytes(made.manifest.to_json())
        for name, file in made.manifest.files.items():
            (bundle / name).write_bytes(press.tree.blob(file.sha256).read_bytes())
        self.repo.publish(bundle)

    @property
    def runs(self) -> dict[str, int]:
        try:
            state = Control(self.tree.control).state()
        except LittoralError:
            return {}
        return {one.model: one.release for one in state.models}


@pytest.fixture
def sea(tmp_path: Path) -> Iterator[Sea]:
    with Sea(tmp_path) as sea:
        (sea.tree.root / "serve.toml").write_text(SERVE)
        sea.publish(1, data=model("tiny_int8"))
        sea.publish(2, data=model("tiny_int8_b"))
        sea.publish(3, data=model("tiny_int8"), golden_of=model("tiny_int8_b"))
        sea.enrol()
        yield sea


def test_releases_are_proven_served_and_come_back_by_themselves(sea: Sea) -> None:
    with sea.agent():
        with serving("--data", str(sea.tree.root)) as process:
            sea.order("digits", 1)
            sea.wait(lambda: sea.good("digits") == 1)
            url = f"{process.url}/v1/models/digits"
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert b"AVAILABLE" in answer.read()
            sea.order("digits", 3)
            sea.wait(lambda: ("failed", "outputs") in sea.events("digits"))
            assert sea.runs == {"digits": 1}
            sea.order("digits", 2)
            sea.wait(lambda: sea.good("digits") == 2)
            assert sea.runs == {"digits": 2}
            process.kill()
        with serving("--data", str(sea.tree.root)):
            sea.wait(lambda: sea.runs == {"digits": 2}, within_s=3)
            sea.order("digits", 1)
            sea.wait(lambda: sea.good("digits") == 1)
            assert sea.runs == {"digits": 1}
    assert [event for event, _ in sea.events("digits")].count("healthy") == 3


def test_a_trial_that_is_no_longer_wanted_is_ended_within_a_second_and_counts_nothing(
    sea: Sea,
) -> None:
    with sea.agent(), serving("--data", str(sea.tree.root)) as process:
        sea.order("digits", 1)
        sea.wait(lambda: sea.good("digits") == 1)
        sea.order("digits", 2)
        sea.wait(lambda: trials(process.process.pid))
        (trial,) = trials(process.process.pid)
        os.kill(trial, signal.SIGSTOP)  # it would go on until its deadline, a minute later
        before = time.monotonic()
        sea.order("digits", 1)
        sea.wait(lambda: not trials(process.process.pid))
        sea.wait(lambda: sea.journal("digits").state is State.IDLE)
        assert time.monotonic() - before < 1.0
        assert sea.runs == {"digits": 1}
        assert not sea.journal("digits").quarantine
        sea.order("digits", 2)
        sea.wait(lambda: sea.good("digits") == 2)


def trials(serve: int) -> list[int]:
    """Return the processes in which ``serve`` tries a candidate."""
    children = Path(f"/proc/{serve}/task/{serve}/children").read_text().split()
    found = []
    for child in children:
        with suppress(OSError):
            if b"littoral_serve.trial" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found

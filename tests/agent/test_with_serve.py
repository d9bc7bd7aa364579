"""The agent and serve, both real: what the one orders, the other runs."""

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")

from littoral.bundle.manifest import Requires
from littoral.errors import LittoralError
from littoral.wire.journal import State
from littoral_agent.control import Control
from littoral_converter import check
from patience import patient
from simulators.fleet import Fleet
from simulators.served import HARDWARE, Device, model, serving

SERVE = "window_s = 0.2\n"


class Sea(Fleet):
    """A fleet whose device has a real serve."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.serve.stop()
        return self

    def publish(
        self,
        release: int,
        *,
        data: bytes,
        golden_of: bytes | None = None,
        requires: Requires | None = None,
    ) -> None:
        """Publish a real model with golden outputs of its own, or of another one."""
        press = Device(self.repo.base / "press")
        made = press.add("digits", release=release, data=data, golden_of=golden_of or data)
        if requires is not None:
            (variant,) = made.manifest.variants
            variants = (replace(variant, requires=requires),)
            made = press.put(replace(made.manifest, variants=variants))
        self.repo.publish(press.bundle(made, self.repo.base / "made" / str(release)))

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


def test_what_a_real_runtime_does_not_know_is_refused_before_a_byte_of_it(sea: Sea) -> None:
    """What the converter writes of a model is what the same runtime says that it knows."""
    used = check.read(model("tiny_int8")).versions
    known = Requires(hardware=(HARDWARE,), runtime="litert>=1.0", operators=used, memory_bytes=1)
    name = next(iter(used))
    sea.publish(11, data=model("tiny_int8"), requires=known)
    sea.publish(12, data=model("tiny_int8_b"), requires=replace(known, runtime="litert>=99"))
    newer = replace(known, operators=used | {name: 99})
    sea.publish(13, data=model("tiny_int8_b"), requires=newer)
    with sea.agent(), serving("--data", str(sea.tree.root)):
        sea.order("digits", 11)
        sea.wait(lambda: sea.good("digits") == 11)
        sea.repo.requests.clear()
        for release, code in ((12, "wrong-runtime"), (13, "operators")):
            sea.order("digits", release)
            sea.wait(lambda code=code: ("refused", code) in sea.events("digits"))  # type: ignore[misc]
        assert not [asked for asked, _ in sea.repo.requests if asked.startswith("blobs/")]
        assert sea.runs == {"digits": 11}


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
            sea.wait(lambda: [event for event, _ in sea.events("digits")].count("healthy") == 3)


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
        assert time.monotonic() - before < patient(1.0)
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
            if b"littoral_serve.trials.trial" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found

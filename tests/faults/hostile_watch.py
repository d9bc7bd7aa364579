"""A client that asks serve all the while: over HTTP, its socket, and for its state.

The steady model's answers must be right, each within a few seconds; serve is the process it was.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from faults.hostile_sources import Source
from littoral.bundle.manifest import Manifest, Tensor
from littoral.errors import LittoralError
from littoral.model import selftest
from littoral.model.backends import Array
from littoral.model.selftest import Sample
from littoral.tree import Tree
from littoral_agent.control import Control
from simulators.served import Device, Serve, ask

STEADY: Final = "steady"
_PAUSE_S: Final = 0.1
_LATE_S: Final = 10.0  # a machine may be busy; serve may not wait for a trial


class Watch:
    """Asks from a thread of its own while its ``with`` lasts."""

    def __init__(self, device: Device, serve: Serve, steady: Source) -> None:
        self._device, self._serve = device, serve
        self._given, self._wanted = steady.given[0], steady.wanted[0]
        self._names = [spec.name for spec in (*steady.inputs, *steady.outputs)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._instance = Control(device.tree.control).state().instance
        self.asked = 0
        self.longest_s = 0.0
        self.found: list[str] = []
        self.doing = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def _watch(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            begun, doing = time.monotonic(), self.doing
            wrong = self.wrong()
            passed = time.monotonic() - begun
            self.asked += 1
            self.longest_s = max(self.longest_s, passed)
            if passed > _LATE_S:
                wrong.append(f"late: the steady model answered after {passed:.1f} s")
            self.found += [f"{one} (during {doing})" for one in wrong]
            if wrong and self._serve.process.poll() is not None:
                return

    def wrong(self) -> list[str]:
        """Ask once in each way; return what is wrong."""
        wrong = []
        try:
            for where in (self._device.tree.serve, self._serve.url):
                (found,) = predict(where, STEADY, self._names, self._given)
                if not np.array_equal(found, self._wanted[0]):
                    wrong.append(f"steady: other outputs from {where}")
            state = Control(self._device.tree.control).state()
            if (state.instance, state.pid) != (self._instance, self._serve.process.pid):
                wrong.append("dead: serve is another process")
        except (OSError, ValueError, KeyError, LittoralError) as e:
            wrong.append(f"dead: {type(e).__name__}: {e}")
        return wrong


def predict(where: Path | str, model: str, names: Sequence[str], given: Sample) -> list[Any]:
    """Return the stored outputs for the stored inputs ``given``, asked as any client asks.

    ``where`` is serve's socket or its URL; ``names`` are the inputs', then the outputs'.

    Raises:
        ValueError: Serve says no.

    """
    columns = {name: one.tolist() for name, one in zip(names, given, strict=False)}
    body = {"signature_name": "raw", "inputs": columns}
    path = f"/v1/models/{model}:predict"
    if isinstance(where, Path):
        status, reply = ask(where, "POST", path, body)
    else:
        request = urllib.request.Request(where + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, reply = answer.status, json.loads(answer.read())
    if status != 200:
        raise ValueError(f"{model}: {status}: {reply}")
    found, outputs = reply["outputs"], names[len(given) :]
    return [found[name] for name in outputs] if isinstance(found, dict) else [found]


def wrong_answers(tree: Tree, told: Manifest) -> Iterator[str]:
    """Ask the model that serves for its golden inputs, and compare the answers by hand."""
    test, files = told.selftest, told.files
    given, wanted = (
        selftest.unpack(tree.blob(files[name].sha256).read_bytes(), specs, count=test.count)
        for name, specs in ((test.inputs, told.inputs), (test.outputs, told.outputs))
    )
    names = [spec.name for spec in (*told.inputs, *told.outputs)]
    for sample, expected in zip(given, wanted, strict=True):
        found = predict(tree.serve, told.model, names, sample)
        for spec, got, right in zip(told.outputs, found, expected, strict=True):
            far = _distance(got, right, spec)
            if not far <= test.tolerance.max_abs:
                yield f"outputs: {spec.name} is {far:g} away from its golden output"


def _distance(got: object, right: Array, spec: Tensor) -> float:
    found = np.asarray(got).astype(right.dtype)  # JSON's numbers have no width
    apart = np.abs(found.astype(np.float64) - right.astype(np.float64))
    return float(np.max(np.nan_to_num(apart, nan=np.inf), initial=0.0)) * (spec.scale or 1.0)

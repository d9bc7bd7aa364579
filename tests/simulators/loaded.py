"""Releases loaded in the test's own process, of sessions that it writes: no file, no runtime."""

from typing import Any

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array, Session
from littoral_serve.running.lane import Bounds, Lane
from littoral_serve.running.live import Description, Live, Models
from littoral_serve.running.runners import OnLoop, Runner


class Doubling:
    """A session that doubles, and counts how often."""

    inputs = outputs = (Tensor(name="x", shape=(1, 2), dtype="float32"),)

    def __init__(self) -> None:
        self.runs = 0

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        self.runs += 1
        return (inputs[0] * 2,)


def loaded(
    session: Session,
    runner: Runner | None = None,
    *,
    size: int | None = 1,
    bounds: Bounds | None = None,
    **said: Any,
) -> Live:
    """Return a release of the model ``m``, run in batches of ``size``; None: it takes none."""
    usual = {"model": "m", "release": 1, "label": "1", "manifest": "0" * 64, "variant": "v"}
    about: dict[str, Any] = {**usual, **said}
    told = Description(inputs=session.inputs, outputs=session.outputs, **about)
    lane = Lane(runner or OnLoop(session), model=told.model, size=size, bounds=bounds or Bounds())
    return Live(told, lane)


def models(*lives: Live) -> Models:
    """Return what serve has, of which these answer."""
    found = Models(keep_previous_free_bytes=0)
    for live in lives:
        found.switch(live)
    return found

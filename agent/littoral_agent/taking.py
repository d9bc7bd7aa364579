"""What comes of a medium that somebody at the board holds out: taken, refused, or still under way.

It believes nothing and does nothing itself: the director's word on the medium is heard like any
other, and while it is followed the medium is the first source that is asked.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from littoral import records
from littoral.errors import ForgottenError, LittoralError, MalformedError
from littoral.wire.journal import Journal, State
from littoral_agent.folder import Folder
from littoral_agent.media import word
from littoral_agent.outline import Outline, outline
from littoral_agent.receipt import Told
from littoral_agent.refusals import Refused, still_refused, tried
from littoral_agent.saying import MOST_DETAIL
from littoral_agent.sources import Sources

Verdict = Literal["proven", "on probation", "under way", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the agent makes of it so far."""

    resting: bool  # nothing is looked up, and nothing is due
    disbelieved: tuple[bytes, LittoralError] | None
    unreached: LittoralError | None  # why it was not looked at to its end
    journals: Mapping[str, Journal]
    refused: Mapping[str, Refused]  # by model
    serving: bool  # serve answers: without it nothing is tried
    switching: bool = False  # serve is being told what to run


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    model: str
    verdict: Verdict
    release: int
    serves: int | None = None
    code: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of it; ``code`` where the medium as a whole is refused, or is to come again."""

    device: str = ""
    version: int = 0  # of the director's document on it
    models: tuple[Model, ...] = ()
    code: str | None = None
    detail: str = ""
    again: bool = False  # it was not looked at to its end, and is wanted once more
    receipt: Told | None = None  # None: the device is nobody's, and has nobody to tell

    @property
    def well(self) -> bool:
        return self.code is None and all(one.code is None for one in self.models)


class Taking:
    """One medium at a time. ``hear`` takes the word, ``view`` says what became of it.

    Whoever changes what is seen says so by ``changed``, afterwards; any thread may.
    """

    def __init__(
        self,
        device: str,
        sources: Sources,
        *,
        hear: Callable[[bytes], None],
        view: Callable[[], View],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device, self._sources = device, sources
        self._hear, self._view, self._clock = hear, view, clock
        self._news = threading.Event()

    def changed(self) -> None:
        """Let whoever waits look again."""
        self._news.set()

    def take(self, folder: Folder, *, wait_s: float) -> Taken:
        """Follow the word on ``folder`` until all that it names is tried, or for so long."""
        try:
            data = word(folder, self._device)
            said = outline(data)
        except ForgottenError as e:
            detail = f"{folder} has no word for {self._device!r}: littoral fleet export writes it"
            return Taken(device=self._device, code=e.code, detail=detail)
        except LittoralError as e:
            return Taken(device=self._device, code=e.code, detail=str(e))
        except records.RecordError as e:
            return Taken(device=self._device, code=MalformedError.code, detail=str(e))
        until = self._clock() + wait_s
        with self._sources.lent(folder):
            self._hear(data)
            view = self._await(until)
        taken = Taken(device=self._device, version=said.version)
        if view.disbelieved is not None and view.disbelieved[0] == data:
            error = view.disbelieved[1]
            return replace(taken, code=error.code, detail=str(error))
        if (why := view.unreached) is not None:
            detail = f"{why}; then install it once more"
            return replace(taken, code=why.code, detail=detail, again=True)
        return replace(taken, models=_models(view, said))

    def _await(self, until: float) -> View:
        """Return what was seen last, once it has ended or it is so late."""
        while True:
            self._news.clear()  # before the look: what changes meanwhile is looked at again
            view, left_s = self._view(), until - self._clock()
            if _ended(view) or left_s <= 0:
                return view
            self._news.wait(left_s)


def _ended(view: View) -> bool:
    """Whether the medium is needed no more, and what was on it was tried."""
    trying = {State.FETCHING, State.TESTING} if view.serving else {State.FETCHING}
    if view.serving and view.switching:
        return False
    return view.resting and all(one.state not in trying for one in view.journals.values())


def _models(view: View, said: Outline) -> tuple[Model, ...]:
    found = [_model(model, held, said) for model, held in view.journals.items()]
    whole = {one.model: one for one in found if one is not None}
    refused = still_refused(view.refused, view.journals, version=said.version)
    for model, why in refused.items():
        serves = whole[model].serves if model in whole else None
        whole[model] = _refused(model, why.release, serves, why.code, why.detail)
    return tuple(whole[model] for model in sorted(whole))


def _model(model: str, held: Journal, said: Outline) -> Model | None:
    """Return how ``held`` stands; None where nothing runs and nothing was tried."""
    serves = held.running.release if held.running else None
    if (why := tried(held, said)) is not None:
        return _refused(model, why.release, serves, why.code, why.detail)
    named = held.candidate or held.good
    if named is None:
        return None
    verdict: Verdict = "proven" if held.candidate is None else "under way"
    verdict = "on probation" if held.state is State.PROBATION else verdict
    return Model(model=model, verdict=verdict, release=named.release, serves=serves)


def _refused(model: str, release: int, serves: int | None, code: str, detail: str) -> Model:
    return Model(
        model=model,
        verdict="refused",
        release=release,
        serves=serves,
        code=code,
        detail=detail[:MOST_DETAIL],
    )

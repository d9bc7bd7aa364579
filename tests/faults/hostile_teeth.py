"""Rules that a trial or serve breaks on purpose, so that the oracle for models is seen to bite."""

from collections.abc import Callable
from typing import Any, Final

from faults.teeth import break_
from littoral.model import selftest
from littoral.wire.control import Tried
from littoral_serve.trials import trial


def lenient() -> None:
    """Outputs are not compared with the golden ones."""
    break_(selftest, "compare", lambda *_: (0.0, 1.0))


def untried() -> None:
    """A candidate passes without being run."""

    def prove(*_: Any) -> Tried:
        return Tried()

    break_(trial, "prove", prove)


IN_TRIAL: Final[dict[str, Callable[[], None]]] = {one.__name__: one for one in (lenient, untried)}

"""Why a request got no answer, in no protocol's words: each protocol has its status for each.

None of these is a fault of the release, so none counts against it.
"""


class RefusalError(Exception):
    """The request was understood and is not answered."""


class InvalidArgumentError(RefusalError, ValueError):
    """The client's mistake."""


class UnknownServableError(RefusalError):
    """There is no such model, release or label."""


class OverloadedError(RefusalError):
    """Too many requests wait before this model already."""

    def __init__(self, model: str, waiting: int) -> None:
        super().__init__(f"{model}: {waiting} requests wait already; try again later")


class LateError(RefusalError):
    """The request waited until its deadline, and was not run."""

    def __init__(self, model: str, waited_s: float) -> None:
        super().__init__(f"{model}: it waited {waited_s:.3f} s, which is more than its deadline")


class LeftError(RefusalError):
    """Nobody waits for the answer any more."""

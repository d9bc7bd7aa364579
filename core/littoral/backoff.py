"""Growing, jittered pauses: what fails together must not come back together."""

import random


class Backoff:
    """Pauses of ``first_s``, doubled up to ``most_s``, each cut to a random half to whole of it."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s, self._most_s = first_s, max(first_s, most_s)
        self._times = 0

    def next(self) -> float:
        """Return how long to wait now, in seconds."""
        whole = min(self._most_s, self._first_s * 2.0 ** min(self._times, 32))
        self._times += 1
        return jitter(whole)

    def reset(self) -> None:
        """Start over, for it went well."""
        self._times = 0


def jitter(seconds: float) -> float:
    """Return a random half to whole of ``seconds``."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

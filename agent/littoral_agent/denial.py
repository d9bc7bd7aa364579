"""Why the console or its broker hears this device no more, and how rarely it is asked again."""

from typing import Final

from littoral.backoff import Backoff
from littoral.errors import DeniedError, FrozenError, RevokedError, SupersededError

MOST_S: Final = 3600.0
_KINDS: Final = {kind.code: kind for kind in (RevokedError, FrozenError, SupersededError)}


def denial(code: str, words: str) -> DeniedError:
    """Return what a console said, as our own error."""
    return _KINDS.get(code, DeniedError)(words)


def is_final(error: DeniedError) -> bool:
    """Whether the whole device is meant, and not only what it asked."""
    return type(error) in _KINDS.values()


def by_broker(where: str) -> DeniedError:
    """Return what a broker means that lets nobody by this name in: it knows no reasons."""
    return DeniedError(
        f"the broker at {where} hears this device no more: it was revoked, frozen or enrolled "
        "anew; the console's page of it says which"
    )


def pauses(first_s: float) -> Backoff:
    """Return how long to wait before asking again: it is a person who must act."""
    return Backoff(first_s, max(first_s, MOST_S))

"""Rules of belief that are broken on purpose, so that the oracle for mutants is seen to bite."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import PropertyMock, patch

from littoral.errors import SignatureError
from littoral.trust import client, director, metadata, rules
from littoral_agent import part


def unsigned() -> Iterator[Any]:
    """Nobody's signature is asked for."""
    for where in (rules, director, client):
        yield patch.object(where, "verify", lambda *_: frozenset())


def one_is_enough() -> Iterator[Any]:
    """One key signs where two must."""

    def verify(delegator: Any, role: str, signed: Any) -> frozenset[str]:
        payload = metadata.canonical(signed, role)
        found = delegator.get_verification_result(role, payload, signed.signatures)
        if not found.signed:
            raise SignatureError(role)
        return frozenset(found.signed)

    for where in (rules, client):
        yield patch.object(where, "verify", verify)


def unread() -> Iterator[Any]:
    """What was brought is not compared with its digest."""
    yield patch.object(part.Part, "is_true", PropertyMock(return_value=True))


def unguarded() -> Iterator[Any]:
    """What the format's library raises is nobody's business."""
    yield patch.object(metadata, "_MALFORMED", ())


def unforgetting() -> Iterator[Any]:
    """What keys said that were taken away still counts."""
    yield patch.object(rules, "forgets", lambda *_, **__: False)
    yield patch.object(client.Client, "_held", _held_by_anybody)


def _held_by_anybody(self: Any, cls: Any) -> Any:
    data = client._read(self._path(cls.type))
    if data is None:
        return None
    return rules.Believed(metadata.parse(cls, data, cls.type).signed, data, frozenset())


BROKEN: Final[dict[str, Callable[[], Iterator[Any]]]] = {
    one.__name__: one for one in (unsigned, one_is_enough, unread, unguarded, unforgetting)
}


@contextmanager
def broken(rule: str) -> Iterator[None]:
    """Break ``rule`` as long as this lasts."""
    with ExitStack() as held:
        for one in BROKEN[rule]():
            held.enter_context(one)
        yield

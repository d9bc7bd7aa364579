"""Asks serve, over its control socket, for what only a runtime can do.

HTTP and JSON, one connection a call. That serve does not answer is ServeDownError: it is
restarting, and the same can be asked again. That it answers no is OrderDeniedError, with its code.
"""

import http.client
from pathlib import Path
from typing import Final, TypeVar

from littoral import records
from littoral.errors import DeniedError, MalformedError, UnreachableError
from littoral.local import LocalConnection
from littoral.wire.control import (
    MAX_BYTES,
    Activate,
    Activated,
    Deactivate,
    Failure,
    Needs,
    Probe,
    Runtime,
    Serving,
    Timings,
    Tried,
    Try,
)
from littoral_agent.halting import Halt

QUICK_S: Final = 10.0
LOAD_S: Final = 120.0  # a big model on a slow card

T = TypeVar("T")


class ServeDownError(UnreachableError):
    """Serve does not answer, or not to the end."""


class OrderDeniedError(DeniedError):
    """Serve answered no; ``reason`` is the code that it gave."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"serve: {failure.error}")
        self.reason = failure.code


class Control:
    """Serve's control socket. Threads may share it."""

    def __init__(self, path: Path, *, halt: Halt | None = None) -> None:
        self._path, self._halt = path, halt or Halt()

    def under(self, halt: Halt) -> "Control":
        """Return this socket for what ``halt`` ends; serve ends it, too, as far as it can."""
        return Control(self._path, halt=halt)

    def state(self) -> Serving:
        """Return what runs.

        Raises:
            ServeDownError: Serve does not answer.
            OrderDeniedError: It answers no.
            MalformedError: It answers something else.

        """
        return self._ask(Serving, "GET", "/control/state", None, QUICK_S)

    def runtime(self, needs: Needs) -> Runtime:
        """Return what would run a variant that says this of itself. Raises as ``state``."""
        return self._ask(Runtime, "POST", "/control/runtime", needs, QUICK_S)

    def timings(self, after: int) -> Timings:
        """Return the windows above ``after``; serve forgets the others. Raises as ``state``."""
        return self._ask(Timings, "GET", f"/control/timings?after={after}", None, QUICK_S)

    def try_(self, order: Try) -> Tried:
        """Return how the candidate's self-test went. Raises as ``state``."""
        return self._ask(Tried, "POST", "/control/try", order, order.deadline_s + QUICK_S)

    def activate(self, order: Activate) -> Activated:
        """Let a model serve, beside and then instead of what serves. Raises as ``state``."""
        return self._ask(Activated, "POST", "/control/activate", order, LOAD_S)

    def deactivate(self, model: str) -> Activated:
        """Let nothing serve under the name ``model``. Raises as ``state``."""
        order = Deactivate(model=model)
        return self._ask(Activated, "POST", "/control/deactivate", order, QUICK_S)

    def probe(self, model: str, deadline_s: float) -> Tried:
        """Return how what serves does on its golden vectors. Raises as ``state``."""
        order = Probe(model=model)
        return self._ask(Tried, "POST", "/control/probe", order, deadline_s + QUICK_S)

    def _ask(
        self, kind: type[T], method: str, path: str, order: object | None, timeout_s: float
    ) -> T:
        body = None if order is None else records.to_json(order)
        connection = LocalConnection(self._path, timeout_s=timeout_s)
        try:
            connection.connect()
            with self._halt.ended_by(connection.hang_up):
                connection.request(method, path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                data = response.read(MAX_BYTES + 1)
            if len(data) <= MAX_BYTES and response.length:
                raise http.client.IncompleteRead(data, response.length)
        except (OSError, http.client.HTTPException) as e:
            raise ServeDownError(
                f"serve does not answer on {self._path} ({type(e).__name__}: {e}); is it running?"
            ) from e
        finally:
            connection.close()
        try:
            if response.status != http.HTTPStatus.OK:
                raise OrderDeniedError(records.from_json(Failure, data, limit=MAX_BYTES))
            return records.from_json(kind, data, limit=MAX_BYTES)
        except records.RecordError as e:
            raise MalformedError(f"serve: {path}: {response.status}: {e}") from e

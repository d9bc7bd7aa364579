"""Makes the receipt: what this device has to tell, signed, for somebody to carry to its console.

Nothing leaves the spool for it. It is numbered, durably and before it is made, so that the
console knows which of two is the newer without asking anybody's clock.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from littoral.errors import ChildError, LittoralError, StorageError
from littoral.wire.messages import Report, Status
from littoral.wire.receipt import MOST_PAYLOAD, Receipt, SignedReceipt
from littoral_agent import child
from littoral_agent.renewal import Pair
from littoral_agent.spool import Spool

_SIGNED_S: Final = 60.0
_MARK: Final = "receipts"
_AROUND: Final = 64  # bytes of a receipt beside its status and its reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a receipt tells; ``code`` where there is none, or where it could not be left."""

    reports: int = 0
    left: int = 0  # reports that are older, and did not fit
    file: str = ""  # on the medium; empty: it is not there
    code: str | None = None
    detail: str = ""

    @classmethod
    def not_so(cls, error: LittoralError) -> "Told":
        return cls(code=error.code, detail=str(error))


class Receipts:
    """Of the device whose messages wait in ``spool``; ``pair`` is by what it shows who it is."""

    def __init__(
        self, spool: Spool, *, status: Callable[[], Status], pair: Callable[[], Pair]
    ) -> None:
        self._spool, self._status, self._pair = spool, status, pair

    @property
    def many(self) -> int:
        """Return how many were made. Raises StorageError."""
        return int(self._spool.mark(_MARK) or 0)

    def make(self) -> tuple[Told, bytes]:
        """Return the next one, and what it tells.

        Raises:
            StorageError: The disk refuses.
            ChildError: It cannot be signed.

        """
        number = self.many + 1
        self._spool.add("report", marks={_MARK: str(number)})
        status = replace(self._status(), receipts=number, online=False)
        room = MOST_PAYLOAD - len(status.to_json()) - _AROUND
        waiting = self._spool.messages({}, limit=self._spool.held().get("report", 0))
        bodies = [one.body for one in waiting if one.kind == "report"]
        fit = _newest(bodies, most_bytes=room)
        told = Told(reports=len(fit), left=len(bodies) - len(fit))
        reports = tuple(Report.from_json(body) for body in fit)
        payload = Receipt(status=status, reports=reports, left=told.left).to_json()
        return told, self._sign(payload).to_json()

    def _sign(self, payload: bytes) -> SignedReceipt:
        pair = self._pair()
        try:
            certificate = pair.certificate.read_text()
        except (OSError, ValueError) as e:
            raise StorageError(f"{pair.certificate}: {e}") from e
        words = (str(pair.key), "receipt")
        end = child.python("littoral_agent.prove", *words, within_s=_SIGNED_S, data=payload)
        try:
            signature = end.answer.decode()
        except ChildError as e:
            raise ChildError(f"{pair.key}: cannot sign with it: {e}") from e
        return SignedReceipt(
            payload=base64.b64encode(payload).decode(),
            certificate=certificate,
            signature=signature,
        )


def _newest(bodies: Sequence[bytes], *, most_bytes: int) -> Sequence[bytes]:
    """Return the last of ``bodies`` that fit into so many bytes together, in their order."""
    for at in range(len(bodies) - 1, -1, -1):
        most_bytes -= len(bodies[at]) + 1
        if most_bytes < 0:
            return bodies[at + 1 :]
    return bodies

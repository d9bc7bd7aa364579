"""Somebody's program that asks a device for predictions all the while."""

import http.client
import json
import threading
import time
from dataclasses import dataclass
from typing import Final

_IMAGE: Final = [[[x * y / 49] for x in range(8)] for y in range(8)]
_BODY: Final = json.dumps({"instances": [_IMAGE]})
_EVERY_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Asked:
    """One prediction that was asked for: when, and the release that answered, else what came."""

    begun: float
    ended: float
    answer: int | str


class Client(threading.Thread):
    """Asks for a prediction again and again, as somebody's program does all the while."""

    def __init__(self, port: int, answers: dict[bytes, int], *, every_s: float = _EVERY_S) -> None:
        super().__init__(daemon=True)
        self._port, self._answers, self._every_s = port, answers, every_s
        self._ended = threading.Event()
        self.asked: list[Asked] = []

    def run(self) -> None:
        while not self._ended.wait(self._every_s):
            begun = time.monotonic()
            answer = self._ask()
            self.asked.append(Asked(begun, time.monotonic(), answer))

    def end(self) -> None:
        self._ended.set()
        self.join(30)

    def _ask(self) -> int | str:
        try:
            status, body = predict(self._port)
        except (OSError, http.client.HTTPException) as e:
            return f"nothing: {type(e).__name__}"
        if status != http.HTTPStatus.OK:
            return f"status {status}: {body[:200]!r}"
        return self._answers.get(body, f"other outputs: {body[:200]!r}")


def predict(port: int, model: str = "digits") -> tuple[int, bytes]:
    """Return status and body of what serve answers."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        link.request("POST", f"/v1/models/{model}:predict", _BODY)
        with link.getresponse() as answer:
            return answer.status, answer.read()
    finally:
        link.close()

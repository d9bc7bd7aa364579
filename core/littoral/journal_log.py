"""Where the lines go that a program logs: systemd's journal with fields, or else stderr.

    log.warning("%s: it is too slow", model, extra=about(model, release=7, code="latency"))

is found by ``journalctl MODEL=digits CODE=latency``. A line that is about an error bears that
error's code by itself. The journal's own protocol, one datagram a line, without a library; what
the journal does not take goes to stderr, so that no line is lost or waited for.
"""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from littoral.errors import LittoralError, one_line

SOCKET: Final = Path("/run/systemd/journal/socket")
MOST_CHARACTERS: Final = 32 * 1024  # of a line, so that a datagram holds it
_FIELDS: Final = "journal_fields"
_PRIORITIES: Final = (  # syslog's numbers, from the least level on
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG: Final = 7


def set_up(identifier: str, *, form: str) -> None:
    """Let all that is logged from INFO on go where it belongs; ``form`` is that of stderr."""
    plain = logging.StreamHandler(sys.stderr)
    plain.setFormatter(OneLine(form))
    handler = JournalHandler(identifier, instead=plain) if stderr_is_the_journal() else plain
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def about(model: str, *, release: int | None = None, code: str | None = None) -> dict[str, Any]:
    """Return what ``extra=`` takes for a line about a model."""
    fields = {"MODEL": model, "RELEASE": release, "CODE": code}
    return {_FIELDS: {name: str(value) for name, value in fields.items() if value is not None}}


def stderr_is_the_journal() -> bool:
    """Tell whether systemd reads stderr: a program that was started from such a one is none."""
    said = os.environ.get("JOURNAL_STREAM")
    try:
        held = os.fstat(2)
    except OSError:
        return False
    return said == f"{held.st_dev}:{held.st_ino}"


class OneLine(logging.Formatter):
    """Writes each message as one line: what a server or a device said forges no other.

    A traceback follows it as it is.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        record.message = one_line(record.message)
        return super().formatMessage(record)


class JournalHandler(logging.Handler):
    """Sends each record to the journal; ``instead`` handles those that it does not take."""

    def __init__(self, identifier: str, *, instead: logging.Handler, where: Path = SOCKET) -> None:
        super().__init__()
        self.setFormatter(OneLine())  # the level is a field
        self._identifier, self._instead, self._where = identifier, instead, where
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        data = b"".join(_encoded(name, text) for name, text in self._fields(record))
        try:
            self._socket.sendto(data, socket.MSG_DONTWAIT, str(self._where))
        except OSError:
            self._instead.handle(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", self.format(record)[:MOST_CHARACTERS]
        yield "PRIORITY", str(priority(record.levelno))
        yield "SYSLOG_IDENTIFIER", self._identifier
        yield "LOGGER", record.name
        yield from {**_code(record), **getattr(record, _FIELDS, {})}.items()


def priority(level: int) -> int:
    """Return what syslog calls a level of logging."""
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG)


def _code(record: logging.LogRecord) -> dict[str, str]:
    arguments = record.args if isinstance(record.args, tuple) else ()
    error = next((one for one in arguments if isinstance(one, LittoralError)), None)
    return {"CODE": error.code} if error is not None else {}


def _encoded(name: str, text: str) -> bytes:
    data = text.encode(errors="replace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)

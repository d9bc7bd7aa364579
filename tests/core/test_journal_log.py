"""What reaches the journal, over a real datagram socket, and what goes to stderr instead."""

import io
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral.errors import LatencyError
from littoral.journal_log import (
    MOST_CHARACTERS,
    JournalHandler,
    OneLine,
    about,
    stderr_is_the_journal,
)


class Journald:
    """Who listens where the journal does, and reads what came as it does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(5)

    def entry(self) -> dict[str, str]:
        data, fields = self._socket.recv(2**20), {}
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(data[:8], "little")
                value, data = data[8 : 8 + size], data[8 + size + 1 :]
            fields[name.decode()] = value.decode()
        return fields

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    one = Journald(tmp_path / "socket")
    yield one
    one.close()


@pytest.fixture
def stderr() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(journald: Journald, stderr: io.StringIO) -> Iterator[logging.Logger]:
    handler = JournalHandler(
        "littoral-test", instead=logging.StreamHandler(stderr), where=journald.path
    )
    log = logging.getLogger("littoral_test.room")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    yield log
    log.removeHandler(handler)
    handler.close()


def test_a_line_about_a_model_bears_its_fields(log: logging.Logger, journald: Journald) -> None:
    log.warning("%s: too slow", "digits", extra=about("digits", release=7, code="latency"))
    assert journald.entry() == {
        "MESSAGE": "digits: too slow",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "littoral-test",
        "LOGGER": "littoral_test.room",
        "MODEL": "digits",
        "RELEASE": "7",
        "CODE": "latency",
    }


def test_a_line_about_an_error_bears_its_code(log: logging.Logger, journald: Journald) -> None:
    error = LatencyError(p95_us=9, budget_us=3)
    log.error("waiting: %s [%s]", error, error.code, extra=about("digits"))
    entry = journald.entry()
    assert (entry["CODE"], entry["MODEL"], entry["PRIORITY"]) == ("latency", "digits", "3")
    assert "RELEASE" not in entry


def test_a_plain_line_has_no_such_fields(log: logging.Logger, journald: Journald) -> None:
    log.info("serving %s on %s", "digits", "http://127.0.0.1:8501")
    assert not {"MODEL", "RELEASE", "CODE"} & journald.entry().keys()


def test_nobody_writes_fields_by_a_message(log: logging.Logger, journald: Journald) -> None:
    log.warning("a client said %s", "hello\nCODE=forged\n_UID=0")
    entry = journald.entry()
    assert entry["MESSAGE"] == "a client said hello CODE=forged _UID=0"
    assert not {"CODE", "_UID"} & entry.keys()


def test_nobody_writes_a_line_of_his_own_by_a_message() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine("%(levelname)s %(message)s"))
    record = logging.LogRecord(
        "x", logging.WARNING, "x", 1, "it said %s", ("a\n\x1b[2JERROR b",), None
    )
    handler.emit(record)
    assert stream.getvalue() == "WARNING it said a [2JERROR b\n"


def test_a_traceback_is_part_of_the_message(log: logging.Logger, journald: Journald) -> None:
    try:
        int("why")
    except ValueError:
        log.exception("failed")
    message = journald.entry()["MESSAGE"]
    assert message.startswith("failed\nTraceback")
    assert message.endswith("invalid literal for int() with base 10: 'why'")


def test_a_line_has_an_end(log: logging.Logger, journald: Journald) -> None:
    log.info("%s", "ü" * 10 * MOST_CHARACTERS)
    assert journald.entry()["MESSAGE"] == "ü" * MOST_CHARACTERS


def test_without_a_journal_the_line_goes_to_stderr(
    log: logging.Logger, journald: Journald, stderr: io.StringIO
) -> None:
    journald.path.unlink()
    log.warning("still heard")
    assert stderr.getvalue() == "still heard\n"


def test_a_journal_that_does_not_read_is_not_waited_for(
    log: logging.Logger, stderr: io.StringIO
) -> None:
    """Else a journal that hangs would stop the requests that serve answers."""
    for k in range(1000):
        log.info("line %d", k)
    heard = stderr.getvalue().splitlines()
    assert heard[-1] == "line 999"
    assert len(heard) < 1000


CODE = """
import logging
from littoral import journal_log
journal_log.set_up("littoral-test", form="%(levelname)s %(message)s")
print(*(type(one).__name__ for one in logging.getLogger().handlers))
logging.getLogger("x").info("a line")
"""


@pytest.mark.parametrize("ours", [True, False], ids=["the-journals", "anothers"])
def test_only_the_stderr_that_systemd_made_is_the_journal(*, ours: bool) -> None:
    read, write = os.pipe()
    held = os.fstat(write)
    stream = f"{held.st_dev}:{held.st_ino if ours else held.st_ino + 1}"
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        check=True,
        stdout=subprocess.PIPE,
        stderr=write,
        text=True,
        env=os.environ | {"JOURNAL_STREAM": stream},
    )
    os.close(write)
    with os.fdopen(read) as said:
        # Here nobody listens for the journal; where somebody does, this line is there.
        heard = said.read()
    assert done.stdout == ("JournalHandler\n" if ours else "StreamHandler\n")
    if not ours or not Path("/run/systemd/journal/socket").exists():
        assert heard == "INFO a line\n"


def test_without_systemd_there_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert not stderr_is_the_journal()

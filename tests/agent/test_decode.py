"""The process that decodes: what it may not do any more, and what it costs."""

import ast
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from littoral.bundle.frames import PLAIN
from littoral_agent.decode_status import BROKEN, LEFT, MODULE, REFUSED, STARVED
from patience import patient
from simulators.encodings import Made, made, patch, zstd

RANDOM = random.Random(4)
OLD = RANDOM.randbytes(2 * PLAIN)
NEW = bytes(b ^ (n % 5 == 0) for n, b in enumerate(OLD))
ZSTD, PATCH = zstd(NEW), patch(NEW, OLD)

# What a decoder that somebody has taken over would try, in the place of ours.
TAKEN_OVER = """
import os, resource, socket, sys
from littoral.bundle import encodings
from littoral.errors import MalformedError
from littoral_agent import decode

def tried(what, *arguments):
    try:
        what(*arguments)
    except (OSError, ValueError) as e:
        return type(e).__name__
    return "done"

def plain(*_, **__):
    found = dict(
        read=tried(os.open, "/etc/hostname", os.O_RDONLY),
        write=tried(os.open, sys.argv[0] + ".new", os.O_WRONLY | os.O_CREAT),
        socket=tried(socket.socket),
        pair=tried(os.pipe),
        double=tried(os.dup, 0),
        listing=tried(os.listdir, "/"),
        signal=tried(os.kill, os.getppid(), 0),
        remove=tried(os.unlink, sys.argv[0]),
        more=tried(resource.setrlimit, resource.RLIMIT_CPU, (9999, 9999)),
        open=[fd for fd in range(64) if tried(os.fstat, fd) == "done"],
    )
    raise MalformedError(repr(found))

encodings.plain = plain
os._exit(decode.main())
"""


def run(offer: Made, folder: Path, *command: str, size: int = len(NEW)) -> tuple[int, str, bytes]:
    """Run a decoder over ``offer``; return how it ended, and what it said and wrote."""
    (folder / "travels").write_bytes(offer.data)
    (folder / "old").write_bytes(OLD)
    with (folder / "travels").open("rb") as travels, (folder / "old").open("rb") as old:
        base = [str(old.fileno())] if offer.encoding.base else []
        words = [str(os.getpid()), offer.encoding.kind, str(size), "10", *base]
        ran = subprocess.run(
            [sys.executable, "-P", *(command or ("-m", MODULE)), *words],
            stdin=travels,
            capture_output=True,
            pass_fds=[old.fileno()],
            timeout=patient(60),
            check=False,
        )
    return ran.returncode, ran.stderr.decode(), ran.stdout


@pytest.mark.parametrize("offer", [ZSTD, PATCH], ids=["zstd", "patch"])
def test_what_comes_out_is_the_file(tmp_path: Path, offer: Made) -> None:
    assert run(offer, tmp_path) == (0, "", NEW)


def test_it_says_what_is_wrong_in_a_line(tmp_path: Path) -> None:
    status, words, out = run(made("zstd", b"nothing of the kind"), tmp_path)
    assert (status, out) == (REFUSED, b"")
    assert re.fullmatch(r"this is no frame .* \[malformed\]", words)


def test_what_nobody_thought_of_is_these_bytes_fault(tmp_path: Path) -> None:
    code = (
        f"import {MODULE} as m, os; m.encodings.plain = lambda *_, **__: 1 // 0; os._exit(m.main())"
    )
    status, words, _ = run(ZSTD, tmp_path, "-c", code)
    assert (status, words.partition(":")[0]) == (BROKEN, "ZeroDivisionError")


def test_it_does_nothing_for_somebody_who_has_ended(tmp_path: Path) -> None:
    code = f"import sys; sys.argv[1] = '1'; from {MODULE} import main; import os; os._exit(main())"
    assert run(ZSTD, tmp_path, "-c", code) == (LEFT, "", b"")


def test_who_takes_it_over_has_nothing(tmp_path: Path) -> None:
    """It opens no file and no socket, reaches no other process, and raises no limit of its own."""
    taken = tmp_path / "taken.py"
    taken.write_text(TAKEN_OVER)
    status, words, _ = run(ZSTD, tmp_path, str(taken))
    assert status == REFUSED, words
    found = ast.literal_eval(words.removesuffix(" [malformed]"))
    assert taken.exists()
    still = found.pop("open")
    assert still[:3] == [0, 1, 2]
    assert len(still) <= 4  # and the base
    signal = found.pop("signal")
    assert signal == "PermissionError" or not _landlock(6)
    more, remove = found.pop("more"), found.pop("remove")
    assert more == "ValueError" or os.geteuid() == 0
    assert remove == "PermissionError" or not _landlock(1)
    assert set(found.values()) <= {"OSError", "PermissionError"}, found


def test_it_ends_where_it_takes_too_much_memory(tmp_path: Path) -> None:
    """None of ours does; a kernel that gives less shows what would happen."""
    code = f"import {MODULE} as m, os, sys; m.ROOM_BYTES = 2**20; os._exit(m.main())"
    status, words, _ = run(PATCH, tmp_path, "-c", code)
    assert (status, words) == (STARVED, "")


@pytest.mark.parametrize("offer", [ZSTD, PATCH], ids=["zstd", "patch"])
def test_it_takes_five_mebibytes_above_what_it_begins_with(tmp_path: Path, offer: Made) -> None:
    code = f"""
import os, re, sys
import {MODULE} as m
def most(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before, status = [], open("/proc/self/status")
confine = m.confine
def confined(**given):
    before.append(most()); confine(**given)
m.confine = confined
status.read()
ended = m.main()
status.seek(0)
after = int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
os.write(2, str(after - before[0]).encode())
os._exit(ended)
"""
    status, words, out = run(offer, tmp_path, "-c", code)
    assert (status, out == NEW) == (0, True), words
    assert int(words) <= 5 * 1024


def _landlock(version: int) -> bool:
    """Whether this kernel has so much of it."""
    import ctypes

    return int(ctypes.CDLL(None).syscall(444, None, 0, 1)) >= version

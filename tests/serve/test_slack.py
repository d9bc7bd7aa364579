"""What was freed is given back to the system."""

import subprocess
import sys

from littoral_serve.running.slack import Slack

MiB = 1024 * 1024


def test_what_has_grown_is_given_back_and_what_has_not_is_left_alone() -> None:
    resident, given = [100 * MiB], list[int]()

    def give_back() -> None:
        given.append(resident[0])
        resident[0] -= 15 * MiB

    slack = Slack(resident=lambda: resident[0], give_back=give_back)
    for mib in (108, 90, 98):
        resident[0] = mib * MiB
        slack.look()
    assert not given
    resident[0] = 99 * MiB  # more than 8 above the least
    slack.look()
    assert given == [99 * MiB]
    for mib in (84, 92, 93):  # the least is what was left
        resident[0] = mib * MiB
        slack.look()
    assert given == [99 * MiB, 93 * MiB]


BURST = """
import ctypes
from littoral.resident import resident_bytes
from littoral_serve.running.slack import Slack
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
slack, before = Slack(), resident_bytes()
blocks = [libc.malloc(60_000) for _ in range(800)]
for block in blocks:
    ctypes.memset(block, 1, 60_000)
for block in blocks[:-1]:
    libc.free(block)
freed = resident_bytes()
slack.look()
print(freed - before, resident_bytes() - before)
"""


def test_a_burst_leaves_nothing_behind() -> None:
    """Freed but for its end, a heap stays with the process until it is looked at."""
    done = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())  # in a process of its own, whose heap is small
    assert kept > 30 * MiB
    assert left < 8 * MiB


def test_where_proc_does_not_tell_nothing_is_done() -> None:
    given: list[None] = []
    Slack(resident=lambda: None, give_back=lambda: given.append(None)).look()
    assert not given

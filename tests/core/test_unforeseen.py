"""What is said of an exception that no room foresaw."""

import errno
import os

import pytest

from littoral import unforeseen


@pytest.mark.parametrize(
    ("number", "do"), [(errno.EACCES, "run it with sudo"), (errno.EIO, "disk")]
)
def test_who_may_not_is_told_of_sudo_and_who_may_of_the_disk(number: int, do: str) -> None:
    assert do in unforeseen.told(OSError(number, os.strerror(number), "/var/x")).line


def test_descriptors_that_are_out_are_the_machines_affair_and_no_defect() -> None:
    found = unforeseen.told(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    assert (found.code, "ulimit -n" in found.line) == ("storage", True)


def test_output_that_goes_to_a_full_disk_is_no_defect() -> None:
    found = unforeseen.told(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert found.code == "disk-full"

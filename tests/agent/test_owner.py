"""What root does in a device's folder, it does as the folder's owner."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
from pathlib import Path
from littoral_agent import owner
folder = Path(sys.argv[1])
os.chdir(folder)
owner.become(folder)
Path("made").write_text("")
print(*os.getresuid(), *os.getresgid(), *os.getgroups())
"""


def ids(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_nobody_becomes_somebody_else(tmp_path: Path) -> None:
    assert ids(tmp_path).split()[:3] == [str(os.getuid())] * 3
    assert (tmp_path / "made").stat().st_uid == os.getuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the owner")
def test_root_becomes_the_owner_for_good(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o750)
    os.chown(own, 12345, 23456)
    assert ids(own) == "12345 12345 12345 23456 23456 23456"
    assert (own / "made").stat().st_uid == 12345

"""What systemd does for a device, without booting one: its own listener, as this user."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from littoral.tree import Tree
from simulators.packages import need
from simulators.served import wait_until

KEEPER = (sys.executable, "-m", "littoral_serve.trials.keeper")
_MODULE = "littoral_serve.trials.trial"


@contextmanager
def trials_by_systemd(path: Path, command: tuple[str, ...] = KEEPER) -> Iterator[None]:
    """Listen on ``path`` as littoral-trial.socket does, and start what its service starts."""
    program = need("systemd-socket-activate")
    words = ["--seqpacket", "--accept", "--inetd", f"--listen={path}", "-E", "PATH"]
    process = subprocess.Popen(
        [program, *words, *command],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: path.is_socket() or process.poll() is not None)
        if process.poll() is not None:
            pytest.skip("systemd-socket-activate does not run here")
        yield
    finally:
        process.terminate()
        process.wait()
        path.unlink(missing_ok=True)


def trials(tree: Tree) -> list[str]:
    """Return the process ids of the trials of releases in ``tree``."""
    ours = {path.stem for path in tree.manifests.iterdir()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text().split("\0")
        except OSError:
            continue
        order = words[words.index(_MODULE) + 1] if _MODULE in words else ""
        if any(f'"{sha256}"' in order for sha256 in ours):
            found.append(folder.name)
    return found

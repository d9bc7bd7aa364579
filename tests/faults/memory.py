"""Where harnesses work: in memory where there is room, so that no disk is worn or waited for."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SHM: Final = Path("/dev/shm")


@contextmanager
def in_memory(name: str) -> Iterator[Path]:
    """Lend a folder for as long as it is needed."""
    where = _SHM if os.access(_SHM, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix=f"littoral-{name}-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

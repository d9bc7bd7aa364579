"""A folder in which the steps of one conversion work, and what each of them cost."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from littoral.durable import storage_errors
from littoral_converter import leftovers, worker
from littoral_converter.cache import Cache, look
from littoral_converter.fingerprint import Fingerprints
from littoral_converter.recipe import Limits
from littoral_converter.terminal import undisturbed

T = TypeVar("T")

_PREFIX: Final = "littoral-convert-"


@dataclass(slots=True, kw_only=True)
class Workshop:
    folder: Path
    limits: Limits
    say: worker.Say
    cache: Cache | None = None
    costs: dict[str, worker.Cost] = field(default_factory=dict)  # by what was done
    _fingerprints: Fingerprints = field(init=False)

    def __post_init__(self) -> None:
        self._fingerprints = Fingerprints(self.folder)

    def do(self, step: str, job: object, result: type[T], *, name: str) -> T:
        """Run ``step`` in a child, or take what it gave before; keep its cost as ``name``'s.

        Raises:
            LittoralError: What worker.run raises.

        """
        say = partial(self._say, name)
        found, cost = self._once(step, job, result, say=say)
        self.costs[name] = cost
        self.say(worker.Progress(stage="done", step=name, cost=cost))
        return found

    def _once(
        self, step: str, job: object, result: type[T], *, say: worker.Say
    ) -> tuple[T, worker.Cost]:
        key = None if self.cache is None else self._fingerprints.of(step, job)
        if self.cache is None or key is None:
            return worker.run(step, job, result, folder=self.folder, limits=self.limits, say=say)
        kept = self.cache.take(key, result, self.folder)
        if kept is not None:
            return kept[0], replace(kept[1], cached=True)
        before = look(self.folder)
        found, cost = worker.run(step, job, result, folder=self.folder, limits=self.limits, say=say)
        self.cache.put(key, found, cost, folder=self.folder, before=before)
        return found, cost

    def _say(self, name: str, said: worker.Progress) -> None:
        self.say(replace(said, step=name))

    def keep(self, name: str, values: NDArray[Any]) -> Path:
        """Put ``values`` where a child finds them: a file that is mapped here gets a second name.

        Raises:
            DiskFullError: There is no room.

        """
        path = self.folder / name
        with storage_errors(path):
            mapped = self._file_of(values)
            if mapped == path:
                return path
            # A new file, for the old one's bytes may be mapped, and cut short they are a crash.
            path.unlink(missing_ok=True)
            if mapped is not None:
                path.hardlink_to(mapped)
                return path
            header = np.lib.format.header_data_from_array_1_0(values) | {"fortran_order": False}
            # Not np.save: on a full disk it does not say that the disk is full.
            with path.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for row in values if values.ndim else [values]:
                    file.write(np.ascontiguousarray(row).data)
        return path

    def _file_of(self, values: NDArray[Any]) -> Path | None:
        """Return the file in this folder that holds ``values`` and nothing else."""
        if not isinstance(values, np.memmap) or not values.flags.c_contiguous:
            return None
        path = Path(str(values.filename))
        whole = path.parent == self.folder and path.stat().st_size == values.offset + values.nbytes
        # With its axes in another order it may still be contiguous, and is not what the file says.
        return path if whole and np.load(path, mmap_mode="r").shape == values.shape else None


@contextmanager
def place() -> Iterator[Path]:
    """Yield a folder to work in, of which nothing is left, however the work ends.

    Who was killed left one, and had no time to clear it away: that is done here, too.
    """
    made: str | None = None
    try:
        with undisturbed():
            made = tempfile.mkdtemp(prefix=_PREFIX)
        with leftovers.held(Path(made)):
            leftovers.clear(Path(made).parent, f"{_PREFIX}{'?' * 8}")
            yield Path(made)
    finally:
        if made is not None:
            with undisturbed():
                shutil.rmtree(made, ignore_errors=True)

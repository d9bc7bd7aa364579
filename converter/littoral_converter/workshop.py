"""A folder in which the steps of one conversion work, and what each of them cost."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from littoral.durable import storage_errors
from littoral_converter import worker
from littoral_converter.recipe import Limits

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Workshop:
    folder: Path
    limits: Limits
    say: worker.Say
    costs: dict[str, worker.Cost] = field(default_factory=dict)  # by what was done

    def do(self, step: str, job: object, result: type[T], *, name: str) -> T:
        """Run ``step`` in a child, and keep its cost as ``name``'s.

        Raises:
            LittoralError: What worker.run raises.

        """
        found, self.costs[name] = worker.run(
            step, job, result, folder=self.folder, limits=self.limits, say=self.say
        )
        return found

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
        return path if whole else None

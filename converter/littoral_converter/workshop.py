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
        """Put ``values`` where a child finds them.

        Raises:
            DiskFullError: There is no room.

        """
        path = self.folder / name
        values = np.ascontiguousarray(values)
        header = np.lib.format.header_data_from_array_1_0(values)
        # Not np.save: on a full disk it does not say that the disk is full.
        with storage_errors(path), path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.write(values.data)
        return path

"""The child's side of a step: limits, a pipe to tell things through, one table of all steps.

Started by littoral_converter.worker as ``python -m littoral_converter.child STEP JOB FD
DEADLINE_S ADDRESS_SPACE_BYTES``; nobody else calls it.
"""

import errno
import json
import os
import resource
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

from littoral import records
from littoral.children import die_with_parent
from littoral.errors import DiskFullError, LittoralError
from littoral.resident import peak_bytes
from littoral_converter.worker import Progress, Say

_MAX_JOB_BYTES = 16 * 1024 * 1024
_GRACE_S = 10.0
_STEPS: Final = {  # the module of each, the record that it is given, and what does it
    "compress": ("compress.steps", "Job", "run"),
    "edgetpu": ("edgetpu.compiler", "Job", "compile_"),
    "fuse": ("importers.fusing", "Job", "run"),
    "import-keras": ("importers.keras", "Job", "run"),
    "import-keras2": ("importers.keras2", "Job", "run"),
    "import-onnx": ("importers.onnx", "Job", "run"),
    "import-saved-model": ("importers.saved_model", "Job", "run"),
    "import-tflite": ("importers.tflite", "Job", "run"),
    "import-torch": ("importers.torch", "Job", "run"),
    "prove": ("litert", "Prove", "prove"),
    "quantize": ("quantizing", "Job", "run"),
    "read-data": ("reading", "Job", "run"),
    "run": ("litert", "Run", "run"),
    "target-browser": ("targets.browser", "Job", "run"),
    "target-jetson": ("targets.jetson", "Job", "run"),
    "target-mobile": ("targets.mobile", "Job", "run"),
    "target-serving": ("targets.serving", "Job", "run"),
    "tensors": ("evidence.nearness", "Job", "run"),
    "tf-int8": ("tf_converter", "Job", "to_integers"),
}


def main(argv: list[str]) -> None:
    """Do one step, tell how it went, and end without the libraries' own farewells."""
    step, job, pipe, deadline_s, address_space_bytes = argv
    _limit(float(deadline_s), int(address_space_bytes))
    with os.fdopen(int(pipe), "w", encoding="utf-8") as told:

        def say(progress: Progress) -> None:
            _tell(told, {"progress": records.plain(progress)})

        try:
            result = _do(step, Path(job).read_bytes(), say)
        except LittoralError as e:
            _tell(told, {"failed": {"code": e.code, "error": str(e)}})
        except OSError as e:
            if e.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            where = f"{Path(job).parent}: no space left on the device; free some, or set TMPDIR"
            _tell(told, {"failed": {"code": DiskFullError.code, "error": where}})
        else:
            _tell(told, {"done": records.plain(result), "peak_bytes": peak_bytes() or 0})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _do(step: str, job: bytes, say: Say) -> object:
    where, given, do = _STEPS[step]
    module = import_module(f"littoral_converter.{where}")
    return getattr(module, do)(_job(getattr(module, given), job), say=say)


def _job(cls: type[Any], data: bytes) -> Any:  # noqa: ANN401
    return records.from_json(cls, data, limit=_MAX_JOB_BYTES)


def _limit(deadline_s: float, address_space_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The parent stops us at the deadline; these are for a parent that was itself killed.
    signal.setitimer(signal.ITIMER_REAL, deadline_s + _GRACE_S)
    die_with_parent()


def _tell(told: IO[str], message: object) -> None:
    told.write(json.dumps(message, allow_nan=False) + "\n")
    told.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

"""The child's side of a step: limits, a pipe to tell things through, one match of all steps.

Started by littoral_converter.worker as ``python -m littoral_converter.child STEP JOB FD
DEADLINE_S ADDRESS_SPACE_BYTES``; nobody else calls it.
"""

import errno
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import IO, Any

from littoral import records
from littoral.children import die_with_parent
from littoral.errors import DiskFullError, LittoralError
from littoral.model.selftest import peak_bytes
from littoral_converter.worker import Progress, Say

_MAX_JOB_BYTES = 16 * 1024 * 1024
_GRACE_S = 10.0


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


def _do(step: str, job: bytes, say: Say) -> object:  # noqa: PLR0911 (a table)
    match step:
        case "read-data":
            from littoral_converter import reading

            return reading.run(_job(reading.Job, job), say=say)
        case step if step.startswith("import-"):
            from littoral_converter.importers import program, readers

            return readers.run(step, _job(program.Job, job), say=say)
        case "legacy-describe":
            from littoral_converter import legacy

            return legacy.describe(_job(legacy.Describe, job), say=say)
        case "compress":
            from littoral_converter.compress import steps as compress

            found = compress.Job, compress.run
        case "quantize":
            from littoral_converter import quantizing

            return quantizing.run(_job(quantizing.Job, job), say=say)
        case "tf-int8":
            from littoral_converter import tf_converter

            return tf_converter.to_integers(_job(tf_converter.Job, job), say=say)
        case step if step.startswith("target-"):
            from littoral_converter.targets import steps

            return steps.run(step, job, say=say)
        case "edgetpu":
            from littoral_converter.edgetpu import compiler

            return compiler.compile_(_job(compiler.Job, job), say=say)
        case "run":
            from littoral_converter import litert

            return litert.run(_job(litert.Run, job), say=say)
        case "prove":
            from littoral_converter import litert

            return litert.prove(_job(litert.Prove, job), say=say)
        case "tensors":
            from littoral_converter.evidence import nearness

            return nearness.run(_job(nearness.Job, job), say=say)
        case _:
            raise ValueError(f"no step {step!r}")


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

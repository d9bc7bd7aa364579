"""In a child: runs edgetpu_compiler, and believes it only where all signs agree.

It succeeded if it ended with 0, and said so, and each file that it should have made holds an
operator for an Edge TPU. What it left otherwise is deleted. It is asked again where it is known
to fail and then not to, and lets its search find a smaller part where the whole does not fit.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from littoral.errors import ConversionError, MalformedError
from littoral_converter import graph
from littoral_converter.edgetpu import compiled, log
from littoral_converter.edgetpu.log import Failure, Log, Status
from littoral_converter.worker import Progress, Say

PROGRAM: Final = "edgetpu_compiler"
Search = Literal["auto", "always", "never"]
_MOST_LOG: Final = 4 * 2**20
_STEP: Final = 10  # operators that the search takes away at once: one by one it takes hours
_TIMES: Final = 3  # it was seen to fail twice on a file, and then not to
_AGAIN: Final = {Failure.INTERNAL, Failure.CRASHED, Failure.SILENT, Failure.STUB}
# A smaller part of these has the same fault.
_HOPELESS: Final = {Failure.NOT_QUANTIZED, Failure.OPEN_SHAPE, Failure.NEWER_OPERATOR}
_WHY: Final = {
    Failure.NOT_QUANTIZED: "the model is not quantized to 8-bit integers",
    Failure.OPEN_SHAPE: "a shape in the model is known only at run time; fix the input's shape",
    Failure.NEWER_OPERATOR: "an operator is of a later version than the compiler knows",
    Failure.TOO_LARGE: "what flows between its layers does not fit on the chip; make the input "
    'smaller, or let it search for a part that does (search = "always")',
    Failure.INTERNAL: "it fails of itself, each time",
    Failure.CRASHED: "it crashes, each time",
    Failure.TIMED_OUT: "it was not done in time; raise edgetpu.timeout_s in the recipe",
    Failure.SILENT: "it ended without making anything, and did not say why",
    Failure.STUB: "it says that it succeeded, and what it made has nothing for an Edge TPU",
    Failure.OTHER: "it refuses the model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Several models are compiled to share the chip's memory, the first one first."""

    models: tuple[Path, ...]
    folder: Path  # what is made goes here
    min_runtime: int | None = None
    segments: int = 1  # of one model, for as many Edge TPUs in a row
    search: Search = "auto"
    timeout_s: float = 180.0  # for one attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    file: str  # in the job's folder
    model: str  # which it was made of
    mapped: int | None  # as the compiler counts
    statuses: tuple[Status, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    version: str
    attempts: int
    searched: bool
    outputs: tuple[Output, ...]


def find() -> Path | None:
    """Return where the compiler is, None where it is not."""
    found = shutil.which(PROGRAM)
    return None if found is None else Path(found)


def compile_(job: Job, *, say: Say) -> Made:
    """Leave what the compiler makes of the job's models in its folder.

    Raises:
        ConversionError: It makes nothing of them; says why, and what to do.

    """
    program = find()
    if program is None:
        raise ConversionError(f"{PROGRAM} is not on the path")
    failed, before, attempts = None, False, 0
    for searching in _plan(job.search, segments=job.segments):
        if failed is not None and not _worth(failed, otherwise=searching != before):
            continue
        before, attempts = searching, attempts + 1
        how = ", searching for a part" if searching else ", again" if failed else ""
        say(Progress(stage=f"compiling for the Edge TPU{how}"))
        place = job.folder / f"attempt-{attempts}"
        place.mkdir()
        try:
            told = _attempt(program, job, place, searching=searching)
            if told.succeeded:
                outputs = tuple(_outputs(job, place, told))
                for output in outputs:
                    (place / output.file).rename(job.folder / output.file)
                version = told.version or "unknown"
                return Made(version=version, attempts=attempts, searched=searching, outputs=outputs)
        finally:
            shutil.rmtree(place)  # a stub is not left for anybody to take for a model
        failed = told
    raise _error(failed)


def _plan(search: Search, *, segments: int) -> tuple[bool, ...]:
    """Return what is tried, in order: whether with a search."""
    if search == "never" or segments > 1:  # it cannot do both
        return (False,) * _TIMES
    return (True,) * _TIMES if search == "always" else (*(False,) * _TIMES, True)


def _worth(failed: Log, *, otherwise: bool) -> bool:
    """Whether to go on after ``failed``: the same once more, or in another way."""
    if failed.failure in _HOPELESS or failed.failure == Failure.TIMED_OUT:
        return False
    return otherwise or failed.failure in _AGAIN


def _attempt(program: Path, job: Job, place: Path, *, searching: bool) -> Log:
    """Run it once; a log of success is returned only where all else agrees."""
    words = [str(program), "--show_operations", "--out_dir", str(place)]
    words += ["--timeout_sec", str(max(1, round(job.timeout_s)))]
    if job.min_runtime is not None:
        words += ["--min_runtime_version", str(job.min_runtime)]
    if job.segments > 1:
        words += ["--num_segments", str(job.segments)]
    if searching:
        words += ["--search_delegate", "--delegate_search_step", str(_STEP)]
    printed = place / "printed.txt"
    with printed.open("wb") as out:
        process = subprocess.Popen(
            [*words, *map(str, job.models)],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(job.timeout_s * (3 if searching else 1) + 5)
        except subprocess.TimeoutExpired:
            # What it started lives on in our group, which whoever started us ends with us.
            raise ConversionError(_words(Failure.TIMED_OUT, "")) from None
    with printed.open("rb") as file:
        told = log.read(file.read(_MOST_LOG).decode(errors="replace"))
    failure = told.failure
    if told.succeeded and code != 0:
        failure = Failure.CRASHED if code < 0 or code > 128 else Failure.OTHER  # noqa: PLR2004
    elif failure == Failure.SILENT and (code < 0 or code > 128):  # noqa: PLR2004 (by a signal)
        failure = Failure.CRASHED
    elif told.succeeded and not all(_good(place / name) for name, _ in _expected(job)):
        failure = Failure.STUB
    return Log(
        version=told.version,
        succeeded=failure is None,
        failure=failure,
        words=told.words,
        models=told.models,
    )


def _expected(job: Job) -> Iterator[tuple[str, str]]:
    """Yield what should be made, and of which model."""
    for model in job.models:
        if job.segments == 1:
            yield f"{model.stem}_edgetpu.tflite", model.name
        for k in range(job.segments if job.segments > 1 else 0):
            yield f"{model.stem}_segment_{k}_of_{job.segments}_edgetpu.tflite", model.name


def _good(path: Path) -> bool:
    try:
        return bool(compiled.read(graph.read(path.read_bytes())))
    except (OSError, MalformedError):
        return False


def _outputs(job: Job, place: Path, told: Log) -> Iterator[Output]:
    said = {Path(model.output).name: model for model in told.models if model.output}
    for name, model in _expected(job):
        found = said.get(name)
        yield Output(
            file=name,
            model=model,
            mapped=None if found is None else found.mapped,
            statuses=() if found is None else found.statuses or _statuses(place / name),
        )


def _statuses(path: Path) -> tuple[Status, ...]:
    """Return the table of the log that it writes beside each file, if it printed none."""
    try:
        text = path.with_suffix(".log").read_text(errors="replace")
    except OSError:
        return ()
    return next((m.statuses for m in log.read(f"Input model: x\n{text}").models), ())


def _error(failed: Log | None) -> ConversionError:
    if failed is None or failed.failure is None:
        raise ValueError("nothing was tried")
    return ConversionError(_words(failed.failure, failed.words))


def _words(failure: Failure, said: str) -> str:
    own = f" ({said})" if said else ""
    return f"{PROGRAM} makes nothing of it: {_WHY[failure]}{own}"

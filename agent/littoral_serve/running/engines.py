"""What TensorRT built of a model: kept for this GPU, its driver and these versions, for no other.

ONNX Runtime finds an engine by the names in a graph, which a model that was trained further has,
too; and loads one that another version built. So each model has a folder for each machine, of a
name that says both. A candidate's trial leaves its engine in a folder of its own, and what it left
is copied here once it passed: serve answers by the engine that was proven.
"""

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from littoral import durable, records
from littoral.errors import BackendMissingError, StorageError
from littoral.wire import probes

_ABOUT: Final = "about.json"
_ASK_S: Final = 60.0
_MOST_BYTES: Final = 4 * 2**30
_MOST_FILES: Final = 64
_BUILT: Final = ".engine"
# Which release of the driver it is, on a desktop's GPU and on a Jetson: the first line of each.
_RELEASES: Final = (Path("/proc/driver/nvidia/version"), Path("/etc/nv_tegra_release"))

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """All that an engine depends on beside its model."""

    gpu: str
    driver: str
    release: str
    cuda: str
    cudnn: str
    tensorrt: str
    onnxruntime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a folder of engines is for."""

    model: str  # sha256
    machine: Machine

    @property
    def name(self) -> str:
        return hashlib.sha256(records.to_json(self)).hexdigest()


class Engines:
    """The folder of all engines. ``machine`` is asked once, when the first is needed."""

    def __init__(self, folder: Path, *, machine: Callable[[], Machine] | None = None) -> None:
        self._folder, self._ask = folder, machine or ask_machine
        self._machine: Machine | None = None

    def find(self, model: str) -> Path | None:
        """Return the folder of the engine of ``model``, a sha256, if it was built here.

        Raises:
            BackendMissingError: This machine has no GPU, or no TensorRT.

        """
        place = self._folder / self._about(model).name
        return place if place.is_dir() else None

    def opened(self, model: str, open_: Callable[[Path], T]) -> T:
        """Return what ``open_`` makes with the engine of ``model``, which it builds if need be.

        Raises as ``find``, ``keep`` and ``open_``.
        """
        found = self.find(model)
        if found is not None:
            return open_(found)
        log.warning("model %s…: TensorRT builds an engine of it, which takes minutes", model[:12])
        with self.stage() as staged:
            made = open_(staged)
            self.keep(staged, model)
        return made

    @contextlib.contextmanager
    def stage(self) -> Iterator[Path]:
        """Give an empty folder to build in, which everybody may write to who is handed it.

        Raises:
            StorageError: There is no place for it.

        """
        with durable.storage_errors(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".stage-", dir=self._folder))
            made.chmod(0o777)  # nobody else can come past the folder above
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def keep(self, staged: Path, model: str) -> None:
        """Copy what was built of ``model`` in ``staged``; whatever else lies there is left.

        Raises:
            StorageError: There is no place for it, or it is no engine.

        """
        about = self._about(model)
        new = self._folder / f".new-{secrets.token_hex(8)}"
        with durable.storage_errors(self._folder):
            new.mkdir(mode=0o700)
            try:
                if not _copied(staged, new):
                    raise StorageError(f"{model[:12]}…: TensorRT built no engine of it")
                durable.replace(new / _ABOUT, records.to_json(about))
                with contextlib.suppress(OSError):  # it was built before, or by another
                    new.rename(self._folder / about.name)
            finally:
                shutil.rmtree(new, ignore_errors=True)

    def collect(self, wanted: Callable[[str], bool]) -> None:
        """Drop the engines of models that are not ``wanted`` any more, and unfinished ones."""
        with contextlib.suppress(OSError):
            for place in self._folder.iterdir():
                try:
                    data = (place / _ABOUT).read_bytes()
                    about = records.from_json(About, data, limit=64 * 1024)
                except (OSError, records.RecordError):
                    shutil.rmtree(place, ignore_errors=True)
                    continue
                if not wanted(about.model):
                    shutil.rmtree(place, ignore_errors=True)

    def _about(self, model: str) -> About:
        if self._machine is None:
            self._machine = self._ask()
        return About(model=model, machine=self._machine)


@cache
def ask_machine() -> Machine:
    """Return what is here, as a child of this process finds it: drivers take processes down.

    Raises:
        BackendMissingError: No GPU, or no TensorRT.

    """
    from littoral.model.backends import onnx

    version = onnx.available("tensorrt")
    command = [sys.executable, "-P", "-m", "littoral.model.probing", "nvidia"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_ASK_S)
    except subprocess.TimeoutExpired as e:
        raise BackendMissingError(f"the GPU's driver does not answer within {_ASK_S:g} s") from e
    return machine_of(probes.read(done.stdout), onnxruntime=version, release=_release())


def machine_of(steps: tuple[probes.Step, ...], *, onnxruntime: str, release: str) -> Machine:
    """Return the machine that ``steps`` tell of. Raises BackendMissingError."""
    for step in steps:
        if step.error is not None:
            raise BackendMissingError(f"no GPU can be used ({step.step}: {step.error})")
    found = {step.step: step.value for step in steps}
    if not found.get("tensorrt"):
        raise BackendMissingError("TensorRT is not installed; 'littoral doctor' says what is")
    return Machine(
        gpu=found["device"],
        driver=found["driver"],
        release=release,
        cuda=found["cuda"],
        cudnn=found["cudnn"],
        tensorrt=found["tensorrt"],
        onnxruntime=onnxruntime,
    )


def _release() -> str:
    for path in _RELEASES:
        with contextlib.suppress(OSError):
            return path.read_text(errors="replace").partition("\n")[0][:500]
    return ""


def _copied(source: Path, into: Path) -> bool:
    """Copy the files right below ``source``; tell whether an engine is among them."""
    left, found = _MOST_BYTES, False
    for path in sorted(source.iterdir())[:_MOST_FILES]:
        # A candidate wrote it: it may be a link, a pipe, or without an end.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        told = os.fstat(fd)
        if not stat.S_ISREG(told.st_mode) or told.st_size > left:
            os.close(fd)
            continue
        left -= told.st_size
        with os.fdopen(fd, "rb") as file, (into / path.name).open("xb") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(copy.fileno())
        found = found or path.suffix == _BUILT
    return found

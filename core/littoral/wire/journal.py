"""All that must survive a power cut about one model: one small file, replaced atomically.

The agent writes it, and nobody else. Serve reads it when it starts, and loads by itself
what it calls ``good``, never a candidate. What may happen to it is the table in
littoral_agent.update; here are only the words.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from littoral import durable, records
from littoral.bundle.manifest import check_id, check_sha256
from littoral.errors import JournalError
from littoral.wire.update import PROBATION_LEFT, Update

FORMAT: Final = 1
MAX_BYTES: Final = 256 * 1024
MOST_UNTOLD: Final = 32  # reports that one journal keeps for a spool which takes none


class State(StrEnum):
    IDLE = "idle"  # good runs, if there is one; nothing is under way
    FETCHING = "fetching"  # good runs; the candidate's files are arriving
    TESTING = "testing"  # good runs; the candidate is tried in a child
    PROBATION = "probation"  # the candidate runs, watched; good stays ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A release, and the variant of it that this device runs."""

    manifest: str  # the sha256 of its manifest
    release: int
    variant: str
    hardware: str
    attempt: int = 0  # signed by the director: a greater one lifts a quarantine

    def __post_init__(self) -> None:
        check_sha256("manifest", self.manifest)
        check_id("variant", self.variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Why a manifest is not tried again, and under which attempt it failed."""

    code: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """For what the candidate waits, which is nobody's fault."""

    code: str  # a PostponedError's
    until_ms: int | None = None  # None: nobody can tell yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The report of the last step: in the same write, so that neither can be lost alone."""

    id: str  # random: by it the spool knows whether it holds the report already
    time_ms: int
    update: Update


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What is remembered about ``model``."""

    format: int = FORMAT
    model: str
    state: State = State.IDLE
    good: Choice | None = None  # proven on this device
    candidate: Choice | None = None  # in every state but idle
    tries: int = 0  # how often the candidate was cut short by something not its own fault
    watched_s: float = 0.0  # probation so far, added up over restarts
    quarantine: dict[str, Quarantine] = field(default_factory=dict)  # by manifest sha256
    stopped: bool = False  # the model shall not run: it is not merely unknown what does
    kept: tuple[Choice, ...] = ()  # proven before, newest first; their files are not collected
    boot: str | None = None  # the boot in which the candidate is run; None: nothing was cut short
    before_p95_us: float | None = None  # of the release that the candidate on probation replaced
    waits: Waits | None = None  # the candidate waits for its time
    patient_until_ms: int | None = None  # for how long it waits for a network that is not metered
    said: Said | None = None
    untold: tuple[Said, ...] = ()  # of steps before, which the spool had not taken by then

    def __post_init__(self) -> None:
        check_id("model", self.model)
        if (self.candidate is None) != (self.state is State.IDLE):
            raise ValueError(
                f"state {self.state} goes with a candidate exactly when it is not idle"
            )

    @property
    def running(self) -> Choice | None:
        """Return what serves requests: the candidate only while it is on probation."""
        return self.candidate if self.state is State.PROBATION else self.good

    @property
    def probation_until_ms(self) -> int | None:
        """Return when probation should end; None: it is not on, or nobody said for how long."""
        left_s = self.said.update.figures.get(PROBATION_LEFT) if self.said else None
        if self.said is None or left_s is None or self.state is not State.PROBATION:
            return None
        return self.said.time_ms + round(left_s * 1000)


def read(path: Path) -> Journal:
    """Return the journal in ``path``, which must exist.

    Raises:
        JournalError: It is truncated, or not a journal.

    """
    return _read(path, path.stem)


def read_proven(path: Path) -> Journal | None:
    """Return the journal in ``path`` as it was when ``good`` last changed; None if that is lost.

    For when ``path`` cannot be read: so no working model is forgotten that is still here.
    """
    try:
        return _read(proven(path), path.stem)
    except JournalError:
        return None


def _read(path: Path, model: str) -> Journal:
    try:
        data = path.read_bytes()
        journal = records.from_json(Journal, data, limit=MAX_BYTES)
    except (OSError, records.RecordError) as e:
        raise JournalError(
            f"{path}: expected a journal, found something else ({e}); "
            "the agent sets it aside and goes on from what was proven last"
        ) from e
    if journal.format != FORMAT or journal.model != model:
        raise JournalError(f"{path}: format {journal.format} of model {journal.model!r}")
    return journal


def write(path: Path, journal: Journal) -> None:
    """Replace the journal in ``path``; serve's group may read it.

    Raises:
        StorageError: The disk refuses; the old journal still stands.

    """
    durable.replace(path, records.to_json(journal), mode=0o640)


def write_proven(path: Path, journal: Journal) -> None:
    """Keep what of ``journal`` is proven beside ``path``, for ``read_proven``. Raises as write."""
    kept = Journal(
        model=journal.model, good=journal.good, kept=journal.kept, quarantine=journal.quarantine
    )
    durable.replace(proven(path), records.to_json(kept), mode=0o640)


def proven(path: Path) -> Path:
    """Return where that lies."""
    return path.with_name(f".{path.stem}.proven")


def find(folder: Path) -> Iterator[Path]:
    """Walk the journals in ``folder``, by the name of the model; there need be none.

    Raises:
        StorageError: The folder cannot be read.

    """
    with durable.storage_errors(folder):
        # glob() would find none, and say nothing, where it may not look.
        paths = sorted(folder.iterdir()) if folder.exists() else []
    yield from (p for p in paths if p.suffix == ".json" and not p.name.startswith("."))

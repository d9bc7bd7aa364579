"""Fourteen attacks, on the repository and on the director's word, by the network and by a stick.

Each is tried on a device that runs release 1 well. It has to be refused with its own reason code,
which the console must come to store; nothing that was never published may lie or run on the device;
what was proven goes on; and an honest release after it is taken. docs/faults.md draws the tables.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from faults import lies, thief
from faults.scene import MODEL, Scene, Source, Stage
from faults.tally import Tally
from littoral.errors import LittoralError

Role = Literal["image", "director"]
SOURCES: Final[tuple[Source, ...]] = ("https", "folder")
LANES: Final = 4  # attacks at a time, each on a device of its own
ROLES: Final[tuple[Role, ...]] = ("image", "director")


def honest(scene: Scene) -> None:
    """Be what one was before, and no more."""
    scene.repo.honest()
    scene.restore()


def without_root(scene: Scene) -> None:
    """Take the root away that one person signed."""
    _, path = thief.newest(scene.repo, "root")
    path.unlink()


def anew(role: str) -> Callable[[Scene], None]:
    """Replace the stolen key of ``role``: that it said so much is forgotten with it."""
    return lambda scene: thief.rotate(scene.repo, role)


@dataclass(frozen=True)
class Try:
    """What is done, and by which code it is refused: ``by_folder`` where a medium brings it.

    ``stays`` is the release that goes on; ``heal`` what its victim does about the attack.
    """

    do: Callable[[Scene], None]
    code: str
    by_folder: str = ""
    stays: int = 1
    heal: Callable[[Scene], None] = honest

    def expected(self, source: Source) -> str:
        return (source == "folder" and self.by_folder) or self.code


NO_SLOW_FOLDER: Final = "a regular file is all there; how fast it is read is the board's affair"
ATTACKS: Final[dict[str, dict[Role, Try]]] = {
    "arbitrary": {
        "image": Try(lies.arbitrary_files, "hash"),
        "director": Try(lies.arbitrary_word, "malformed"),
    },
    "rollback of metadata": {
        "image": Try(lies.older_metadata, "rollback", by_folder="stale"),
        "director": Try(lies.older_word, "rollback", by_folder="stale", stays=2),
    },
    "rollback of a release": {
        "image": Try(lies.older_release, "rollback", stays=2),
        "director": Try(lies.word_below_the_floor, "floor"),
    },
    "freeze": {
        "image": Try(lies.frozen_metadata, "expired"),
        "director": Try(lies.frozen_word, "expired"),
    },
    "mix and match": {
        "image": Try(lies.mixed_metadata, "mix"),
        "director": Try(lies.mixed_word, "mix"),
    },
    "fast forward": {
        "image": Try(lies.leapt_metadata, "rollback", by_folder="stale", heal=anew("timestamp")),
        "director": Try(lies.leapt_word, "rollback", by_folder="stale", heal=anew("director")),
    },
    "endless": {
        "image": Try(lies.endless_metadata, "endless"),
        "director": Try(lies.endless_word, "endless"),
    },
    "slow": {
        "image": Try(lies.slow_metadata, "slow"),
        "director": Try(lies.slow_word, "slow"),
    },
    "wrong signer": {
        "image": Try(lies.strange_metadata, "signature"),
        "director": Try(lies.strange_word, "signature"),
    },
    "one of two signers": {"image": Try(lies.half_signed_root, "signature", heal=without_root)},
    "wrong device": {"director": Try(lies.word_for_another, "wrong-device")},
    "wrong hardware": {
        "image": Try(lies.other_hardware, "mix"),
        "director": Try(lies.word_for_other_hardware, "wrong-hardware"),
    },
    "swapped bundle": {
        "image": Try(lies.swapped_manifest, "hash"),
        "director": Try(lies.swapped_word, "mix"),
    },
    "stolen director key": {
        "image": Try(lies.director_signs_timestamp, "signature"),
        "director": Try(lies.stolen_word, "mix"),
    },
}
NONE: Final[dict[tuple[str, Role, Source], str]] = {
    ("slow", "image", "folder"): NO_SLOW_FOLDER,
    ("slow", "director", "folder"): NO_SLOW_FOLDER,
    **{
        ("one of two signers", "director", source): "one key signs it: root may name several, "
        "and asks for any one of them"
        for source in SOURCES
    },
    **{
        ("wrong device", "image", source): "what may be run at all is the same for every device"
        for source in SOURCES
    },
}


@dataclass(frozen=True)
class Cell:
    """One attack by one way."""

    attack: str
    role: Role
    source: Source

    @property
    def name(self) -> str:
        return f"{self.attack.replace(' ', '-')}-{self.role}-{self.source}"

    @property
    def tried(self) -> Try | None:
        """Return what is tried, None where there is no such attack: NONE says why."""
        if (self.attack, self.role, self.source) in NONE:
            return None
        return ATTACKS[self.attack][self.role]

    @property
    def code(self) -> str:
        """Return the reason code by which it has to be refused."""
        return self.tried.expected(self.source) if self.tried else ""


CELLS: Final = tuple(Cell(a, r, s) for a in ATTACKS for r in ROLES for s in SOURCES)


def run(stage: Stage, cells: Sequence[Cell] = CELLS, *, runs: int | None = None) -> Iterator[Tally]:
    """Try ``cells``, or so many of them; yield what was found so far after each."""
    tally = Tally()
    tally.count["cannot be"] = sum(cell.tried is None for cell in cells)
    with ThreadPoolExecutor(LANES) as lanes:
        going = {lanes.submit(attack, stage, cell): cell for cell in cells[:runs] if cell.tried}
        for done in as_completed(going):
            cell = going[done]
            tally.points[cell.code] += 1
            tally.blame(cell.name, done.result())
            yield tally


def all_of(*, runs: int | None = None) -> Iterator[Tally]:
    """Try every cell on an agent that is a process of its own."""
    with TemporaryDirectory() as folder, Stage(Path(folder), apart=True) as stage:
        yield from run(stage, runs=runs)


def attack(stage: Stage, cell: Cell) -> list[str]:
    """Try one cell; return what is wrong after it."""
    tried = cell.tried
    assert tried is not None
    with stage.scene(cell.name, source=cell.source) as scene:
        try:
            scene.begin()
            tried.do(scene)
            scene.wait(scene.codes, "the console has a reason code")
            scene.settle()
        except (TimeoutError, LittoralError) as e:
            return [f"stuck: {e}", *_taken(scene, stays=tried.stays)]
        wrong = _taken(scene, stays=tried.stays)
        if (told := scene.codes()) != {cell.code}:
            wrong.append(f"code: expected {cell.code}, the console has {sorted(told)}")
        try:
            tried.heal(scene)
            scene.heal()
        except (TimeoutError, LittoralError) as e:
            wrong.append(f"unhealed: {e}")
        return wrong + _strange(scene)


def _taken(scene: Scene, *, stays: int) -> list[str]:
    good, runs = scene.good(), scene.serve.running.get(MODEL)
    other = (good, runs) != (stays, stays)
    taken = [f"taken: {good} is good and {runs} runs, not {stays}"] if other else []
    return taken + _strange(scene)


def _strange(scene: Scene) -> list[str]:
    return [f"stranger: {one} lies or runs here" for one in scene.strangers()]

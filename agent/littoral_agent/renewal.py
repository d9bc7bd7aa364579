"""A newer key and certificate for a device that is one: a life in three files, and its table.

The state is what lies on the disk and nothing else, so that a kill at any moment changes none
of it: who handles an event does the table's deed, and the deed leaves there the state that
the table names. What the table does not have changes nothing. The newer pair takes the place
of the present one only after somebody who counts was spoken with by it; until then the
present one speaks on. docs/identity.md says it in words.
"""

import enum
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral import durable
from littoral_agent.identity import Identity

REFUSED: Final = 3  # how the child ends that found the answer not to be this device's


class State(enum.Enum):
    STEADY = "steady"  # there is one pair
    ASKING = "asking"  # there is a newer key, and its certificate is asked for
    HELD = "held"  # there is a newer pair, which nobody has welcomed yet
    PROVEN = "proven"  # it takes the place of the present one, which was cut short


class Event(enum.Enum):
    DUE = "due"  # the console asks, or the certificate is old
    ANSWERED = "answered"  # a certificate came for the newer key, from the fleet's device CA
    WELCOMED = "welcomed"  # a connection by the newer pair is open
    UNWELCOME = "unwelcome"  # it was refused
    WOKE = "woke"  # the agent started: after a stop, or after power was lost at any moment


class Do(enum.Enum):
    MAKE = "make"  # a key, if there is none, and its request
    KEEP = "keep"  # the certificate beside its key
    PLACE = "place"  # the newer pair, over the present one; PROVEN until that is done
    DROP = "drop"  # the newer pair


TABLE: Final[dict[tuple[State, Event], tuple[State, Do | None]]] = {
    (State.STEADY, Event.DUE): (State.ASKING, Do.MAKE),
    (State.STEADY, Event.WOKE): (State.STEADY, None),
    (State.ASKING, Event.ANSWERED): (State.HELD, Do.KEEP),
    (State.ASKING, Event.WOKE): (State.ASKING, Do.MAKE),
    (State.HELD, Event.WELCOMED): (State.STEADY, Do.PLACE),
    (State.HELD, Event.UNWELCOME): (State.STEADY, Do.DROP),
    (State.HELD, Event.WOKE): (State.HELD, None),
    (State.PROVEN, Event.WOKE): (State.STEADY, Do.PLACE),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """By what a connection shows who this device is."""

    certificate: Path
    key: Path
    newer: bool = False  # it is not proven yet


@dataclass(frozen=True, slots=True)
class Files:
    """Where the present pair lies, and the newer one of the same incarnation."""

    who: Identity
    incarnation: int

    @property
    def folder(self) -> Path:
        return self.who.folder / f"next-{self.incarnation}"

    @property
    def newer(self) -> Pair:
        return Pair(self.folder / "device.crt", self.folder / "device.key", newer=True)

    @property
    def proven(self) -> Path:
        """Return the promise that the newer pair takes the place of the present one."""
        return self.folder / "proven"

    @property
    def state(self) -> State:
        if self.proven.exists():
            return State.PROVEN
        if self.newer.certificate.exists():
            return State.HELD
        return State.ASKING if self.newer.key.exists() else State.STEADY

    def sweep(self) -> None:
        """Remove what other incarnations and kills left, keys above all. Raises StorageError."""
        with durable.storage_errors(self.who.folder):
            for folder in self.who.folder.glob("next-*"):
                if folder != self.folder:
                    shutil.rmtree(folder)
        durable.sweep(self.folder)

    def pair(self) -> Pair:
        """Return by what to connect now."""
        present = Pair(self.who.certificate, self.who.key)
        match self.state:
            case State.HELD:
                return self.newer
            case State.PROVEN if self.newer.certificate.exists() and self.newer.key.exists():
                return Pair(self.newer.certificate, self.newer.key)
            case _:
                return present

    def keep(self, chain: str) -> None:
        """Put the certificate beside its key. Raises StorageError."""
        durable.replace(self.newer.certificate, chain.encode())

    def promise(self) -> None:
        """Say durably that the newer pair takes the present one's place. Raises StorageError."""
        durable.replace(self.proven, b"")

    def place(self) -> None:
        """Do so. Can be done twice. Raises StorageError."""
        pairs = (
            (self.newer.key, self.who.key),
            (self.newer.certificate, self.who.certificate),
        )
        with self.who.settling():
            enrolment = self.who.read()
            if enrolment is not None and enrolment.incarnation == self.incarnation:
                for source, target in pairs:
                    if source.exists():  # else it was placed, and removed, before a power cut
                        durable.replace(target, source.read_bytes())
            for path in (self.newer.certificate, self.newer.key, self.proven):
                durable.remove(path)

    def drop(self) -> None:
        """Forget the newer pair, which is not proven. Raises StorageError."""
        durable.remove(self.newer.certificate)
        durable.remove(self.newer.key)

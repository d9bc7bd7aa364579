"""Versions never go backwards: two consoles whose clocks differ, and backups that come back.

A device takes only what is newer than what it holds. So the oracle is the device: what it holds
never falls, and what the fleet wants reaches it once it has said what it holds.
"""

import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from securesystemslib.signer import CryptoSigner
from sqlalchemy import delete, insert

from littoral.errors import RollbackError
from littoral.trust.beliefs import Anchors, Desired
from littoral.trust.director import accept_director
from littoral_console import director as directors
from littoral_console import tables as t
from littoral_console.database import Database, default_url, put
from littoral_console.director import Director
from simulators.people import NOW

NOW_MS: Final = int(NOW.timestamp() * 1000)
HOUR_MS: Final = 3600 * 1000
DEVICE: Final = {
    "id": "edge-1",
    "serial": "1",
    "incarnation": 1,
    "labels": {},
    "created_ms": 0,
    "online": False,
    "software": "",
    "hardware": [],
    "serving": False,
    "director": 0,
}
ROLLOUT: Final = {
    "id": 1,
    "model": "digits",
    "release": 1,
    "selector": "",
    "force": False,
    "created_ms": 0,
    "created_by": "ada",
}
WAYS: Final = ("push", "push", "issue", "fetch", "report", "skew", "save", "restore")


class Fleet:
    """Two consoles on one database, a device, and a folder with a backup."""

    def __init__(self, folder: Path, *, apart_ms: int) -> None:
        self.folder, self.backup = folder / "data", folder / "backup"
        self.folder.mkdir()
        self.signer = CryptoSigner.generate_ed25519()
        key = self.signer.public_key
        self.anchors = Anchors(
            fleet="shore", director={key.keyid: key}, time={}, device_ca_sha256="0" * 64
        )
        self.director = Director(self.signer)
        self.clocks = [0, apart_ms]  # of each console, beside the true time
        self.now_ms = NOW_MS
        self.held: Desired | None = None
        self.wanted = 0
        self.open()
        self.on(0).writer.write(lambda c: c.execute(insert(t.devices).values(DEVICE)))
        self.on(0).writer.write(lambda c: c.execute(insert(t.rollouts).values(ROLLOUT)))
        self.on(0).writer.write(lambda c: put(c, t.settings, {"name": "fleet", "value": "shore"}))
        self.save()

    def open(self) -> None:
        self.consoles = [Database(default_url(self.folder)) for _ in range(2)]

    def close(self) -> None:
        for one in self.consoles:
            one.close()

    def on(self, replica: int) -> Database:
        return self.consoles[replica]

    def issue(self, replica: int) -> int:
        now_ms = self.now_ms + self.clocks[replica]
        return self.on(replica).writer.write(
            lambda c: self.director.issue(c, "edge-1", now_ms=now_ms)
        )

    def push(self, replica: int) -> None:
        """Want another release of the device."""
        self.wanted += 1
        row = {
            "device": "edge-1",
            "model": "digits",
            "release": self.wanted,
            "manifest": f"{self.wanted:064x}",
            "length": 100,
            "hardware": "cpu-x86_64",
            "attempt": 0,
            "rollout": 1,
        }
        self.on(replica).writer.write(lambda c: put(c, t.desired, row))
        self.issue(replica)

    def save(self) -> None:
        self.close()
        shutil.rmtree(self.backup, ignore_errors=True)
        shutil.copytree(self.folder, self.backup)
        self.saved = self.wanted
        self.open()

    def restore(self) -> None:
        self.close()
        shutil.rmtree(self.folder)
        shutil.copytree(self.backup, self.folder)
        self.wanted = self.saved
        self.open()

    def fetch(self, replica: int) -> bool:
        """Let the device ask; return whether it took what it was given."""
        with self.on(replica).reading() as connection:
            found = directors.document(connection, "edge-1")
        if found is None:
            return False
        accepted = self.held.version if self.held else 0
        try:
            self.held = accept_director(
                found.data,
                anchors=self.anchors,
                device="edge-1",
                incarnation=1,
                accepted=accepted,
                now=NOW,
            )
        except RollbackError:
            return False
        assert self.held.version >= accepted
        return True

    def report(self, replica: int) -> None:
        version = self.held.version if self.held else 0
        now_ms = self.now_ms + self.clocks[replica]
        self.on(replica).writer.write(
            lambda c: self.director.reported(c, "edge-1", version, now_ms=now_ms)
        )


@pytest.fixture(params=[-7 * 24 * HOUR_MS, -1, 0, HOUR_MS], ids=["week", "ms", "same", "ahead"])
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    found = Fleet(tmp_path, apart_ms=request.param)
    yield found
    found.close()


def test_two_consoles_in_turn_only_go_up(fleet: Fleet) -> None:
    found = [fleet.issue(turn % 2) for turn in range(20)]
    assert found == sorted(set(found))


def test_two_consoles_at_once_never_sign_one_version_twice(fleet: Fleet) -> None:
    found: list[list[int]] = [[], []]

    def sign(replica: int) -> None:
        found[replica].extend(fleet.issue(replica) for _ in range(30))

    threads = [threading.Thread(target=sign, args=(replica,)) for replica in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*found[0], *found[1]}) == 60
    for one in found:
        assert one == sorted(one)


def test_a_backup_that_comes_back_is_passed_once_the_device_speaks(fleet: Fleet) -> None:
    fleet.push(0)
    fleet.save()
    fleet.clocks = [10 * HOUR_MS, 10 * HOUR_MS]  # both were ahead, and then set right
    fleet.push(1)
    assert fleet.fetch(0)
    assert fleet.held is not None
    ahead = fleet.held.version
    fleet.restore()
    fleet.clocks = [0, 0]
    fleet.push(0)
    assert not fleet.fetch(0), "refused: older than what it holds"
    fleet.report(1)
    assert fleet.fetch(0)
    assert fleet.held.version > ahead
    assert fleet.held.assignments[0].release == fleet.wanted


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_the_device_hears_what_is_wanted(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    fleet = Fleet(tmp_path, apart_ms=chance.choice([-HOUR_MS, 0, 24 * HOUR_MS]))
    for _ in range(60):
        replica = chance.randrange(2)
        fleet.now_ms += chance.randrange(1000)
        match chance.choice(WAYS):
            case "push":
                fleet.push(replica)
            case "issue":
                fleet.issue(replica)
            case "fetch":
                fleet.fetch(replica)
            case "report":
                fleet.report(replica)
            case "skew":
                fleet.clocks[replica] = chance.randrange(-30, 30) * HOUR_MS
            case "save":
                fleet.save()
            case _:
                fleet.restore()
    fleet.push(0)
    fleet.report(1)
    assert fleet.fetch(chance.randrange(2))
    assert fleet.held is not None
    assert [one.release for one in fleet.held.assignments] == [fleet.wanted]
    fleet.close()


def test_a_console_that_lost_its_documents_alone_does_not_begin_anew(fleet: Fleet) -> None:
    """What the device reported last is kept beside: it is passed without waiting for it."""
    fleet.clocks = [HOUR_MS, HOUR_MS]
    fleet.push(0)
    assert fleet.fetch(1)
    fleet.report(0)
    fleet.on(0).writer.write(lambda c: c.execute(delete(t.director)))
    fleet.clocks = [0, 0]
    fleet.push(1)
    assert fleet.fetch(0)

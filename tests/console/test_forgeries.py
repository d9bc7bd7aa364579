"""What a thief laid into the console's repository does not stand in the way of what is signed."""

import asyncio
import itertools
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from console.coast import settle
from console.test_repository import copy_of, open_repository, send, sent_to
from littoral.errors import BundleError, MixError
from littoral.trust import writer
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import new_key
from littoral.trust.repository import Repository
from littoral_console import queries
from littoral_console.alarms import alarms
from littoral_console.forgeries import forged
from littoral_console.upkeep import once
from simulators.console import ConsoleProcess
from simulators.disk import Disk
from simulators.repository import RepositorySimulator


@pytest.fixture
def publisher(tmp_path: Path) -> RepositorySimulator:
    """A publisher whose first release the console in tmp_path/console has adopted."""
    found = RepositorySimulator(tmp_path)
    found.publish(found.bundle("digits", 1))
    console = open_repository(tmp_path)
    console.commit(sent_to(console, found.folder), known={})
    return found


def newest(folder: Path, role: str) -> int:
    return max(Repository(folder).versions()[role])


def forge(
    folder: Path, role: str, *, above: int = 1, change: Callable[[Any], None] = lambda _: None
) -> Path:
    """Lay a greater version of ``role`` there, by a key that nobody trusts."""
    version = newest(folder, role)
    path = Repository(folder).path(role, version)
    metadata = Metadata[Any].from_bytes(path.read_bytes())
    metadata.signed.version = version + above
    change(metadata.signed)
    thief = folder.parent / "thief.pem"
    if not thief.exists():
        new_key(thief)
    metadata.sign(load_signer(thief))
    made = Repository(folder).path(role, version + above)
    made.write_bytes(metadata.to_bytes())
    return made


ROLES = [("targets", 1), ("digits", 1), ("digits", 5), ("root", 1)]


@pytest.mark.parametrize(("role", "above"), ROLES)
def test_an_honest_version_takes_a_forged_one_s_place(
    tmp_path: Path, publisher: RepositorySimulator, role: str, above: int
) -> None:
    folder = tmp_path / "console" / "repo"
    made = forge(folder, role, above=above)
    bytes_made = made.read_bytes()
    writer.extend(publisher.folder, offline=publisher.offline)  # one version more of everything
    publisher.publish(publisher.bundle("digits", 2))
    console = open_repository(tmp_path)
    admitted = console.commit(sent_to(console, publisher.folder), known={})
    name = f"metadata/{made.name}"
    assert admitted.aside == {name: sha256(bytes_made).hexdigest()}
    assert [release.manifest.release for release in admitted.releases] == [1, 2]
    writer.verify(folder, now=datetime.now(UTC))
    (kept,) = (tmp_path / "console" / "set-aside").iterdir()
    assert kept.read_bytes() == bytes_made
    assert kept.name.startswith(made.name)
    assert not made.exists() or made.read_bytes() != bytes_made
    assert forged(Repository(folder)) == frozenset()


def test_a_copy_of_what_is_signed_is_no_later_version(
    tmp_path: Path, publisher: RepositorySimulator
) -> None:
    folder = tmp_path / "console" / "repo"
    path = Repository(folder).path("digits", newest(folder, "digits"))
    shutil.copyfile(path, made := Repository(folder).path("digits", newest(folder, "digits") + 1))
    assert forged(Repository(folder)) == {f"metadata/{made.name}"}
    publisher.publish(publisher.bundle("digits", 2))
    console = open_repository(tmp_path)
    assert len(console.commit(sent_to(console, publisher.folder), known={}).releases) == 2


def test_junk_under_a_role_s_name_is_forged_whatever_it_is(
    tmp_path: Path, publisher: RepositorySimulator
) -> None:
    folder = tmp_path / "console" / "repo"
    names = set()
    for number, junk in enumerate((b"", b"{}", b"\xff", b"[" * 6_000_000), start=70):
        (folder / "metadata" / f"{number}.digits.json").write_bytes(junk)
        names.add(f"metadata/{number}.digits.json")
    (folder / "metadata" / "1.nobody.json").write_bytes(b"{}")  # a role that nobody delegates to
    assert forged(Repository(folder)) == names | {"metadata/1.nobody.json"}
    assert publisher.folder.exists()


def test_what_was_signed_is_never_changed(tmp_path: Path, publisher: RepositorySimulator) -> None:
    """The release key itself signs two different versions of one number: the first one stays."""
    folder = tmp_path / "console" / "repo"
    path = Repository(publisher.folder).path("digits", newest(folder, "digits"))
    before = (folder / "metadata" / path.name).read_bytes()
    metadata = Metadata[Targets].from_bytes(path.read_bytes())
    metadata.signed.unrecognized_fields["x-other"] = "words"
    metadata.sign(load_signer(publisher.offline / "digits-1.pem"))
    path.write_bytes(metadata.to_bytes())
    console = open_repository(tmp_path)
    with pytest.raises(MixError, match="with other bytes"):
        sent_to(console, publisher.folder)
    assert (folder / "metadata" / path.name).read_bytes() == before


@pytest.mark.parametrize("role", ["targets", "digits"])
def test_what_a_key_signed_while_it_was_trusted_is_never_changed(
    tmp_path: Path, publisher: RepositorySimulator, role: str
) -> None:
    """After a rotation nobody who is trusted now has signed an old version: it stays."""
    folder = tmp_path / "console" / "repo"
    old = Repository(folder).path(role, newest(folder, role))
    before = old.read_bytes()
    writer.rotate(publisher.folder, role, offline=publisher.offline)
    console = open_repository(tmp_path)
    console.commit(sent_to(console, publisher.folder), known={})
    assert forged(Repository(folder)) == frozenset()
    assert old.read_bytes() == before
    shutil.copytree(folder, copy := tmp_path / "copy")
    for number in Repository(copy).versions()[role]:
        if f"{number}.{role}.json" > old.name:
            Repository(copy).path(role, number).unlink()
    assert f"metadata/{old.name}" not in forged(Repository(copy))
    other = json.loads(before)
    other["signed"]["x-other"] = "words"
    for path in Repository(publisher.folder).metadata.glob(f"*.{role}.json"):
        path.unlink()  # the publisher offers this version as its newest
    metadata = Metadata[Targets].from_dict(other)
    metadata.sign(load_signer(publisher.offline / f"{role}-1.pem"))
    (publisher.folder / "metadata" / old.name).write_bytes(metadata.to_bytes())
    with pytest.raises(Exception, match=r"older|accepted before|other bytes"):
        sent_to(open_repository(tmp_path), publisher.folder)
    assert old.read_bytes() == before


def test_a_kill_at_any_moment_leaves_the_forged_or_the_honest(
    tmp_path: Path, publisher: RepositorySimulator
) -> None:
    folder = tmp_path / "console" / "repo"
    made = forge(folder, "digits")
    bytes_made = made.read_bytes()
    publisher.publish(publisher.bundle("digits", 2))
    shutil.copytree(tmp_path / "console", tmp_path / "before")
    for n in itertools.count():
        shutil.rmtree(tmp_path / "console")
        shutil.copytree(tmp_path / "before", tmp_path / "console")
        killed = open_repository(tmp_path)
        number = sent_to(killed, publisher.folder)
        with Disk(tmp_path / "console", cut_at=n) as disk:
            killed.commit(number, known={})
        promised = list(folder.parent.glob("uploads/*/adopt.json"))
        if made.exists() and made.read_bytes() == bytes_made and not promised:
            continue  # before the promise: the thief's file is here, as it was
        admitted = open_repository(tmp_path).recover(known={})
        assert admitted is not None
        assert len(admitted.releases) == 2, n
        writer.verify(folder, now=datetime.now(UTC))
        if not disk.was_cut:
            break
    assert n > 3


@pytest.mark.parametrize(("role", "above"), ROLES)
def test_a_start_and_upkeep_set_aside_what_is_forged(
    tmp_path: Path, publisher: RepositorySimulator, role: str, above: int
) -> None:
    """It hides what is genuine from devices; nobody has to bring anything first."""
    folder = tmp_path / "console" / "repo"
    for look in ("recover", "expel"):
        made = forge(folder, role, above=above)
        (folder / "metadata" / "root.json").write_bytes(made.read_bytes())
        console = open_repository(tmp_path)
        if look == "recover":
            admitted = console.recover(known={})
            assert admitted is not None
            assert list(admitted.aside) == [f"metadata/{made.name}"]
        else:
            assert list(console.expel()) == [f"metadata/{made.name}"]
        assert not made.exists()
        assert console.aside()
        assert console.expel() == {}, "once"
        writer.verify(folder, now=datetime.now(UTC))
        newest_root = Repository(folder).path("root", newest(folder, "root"))
        assert (folder / "metadata" / "root.json").read_bytes() == newest_root.read_bytes()
    assert publisher.folder.exists()


def test_nothing_is_set_aside_where_no_root_is_believed(
    tmp_path: Path, publisher: RepositorySimulator
) -> None:
    folder = tmp_path / "console" / "repo"
    for path in (folder / "metadata").glob("*root.json"):
        path.rename(tmp_path / path.name)
    before = sorted(path.name for path in (folder / "metadata").iterdir())
    assert open_repository(tmp_path).expel() == {}
    (folder / "metadata" / "1.root.json").write_bytes(b"{}")
    with pytest.raises(BundleError):
        open_repository(tmp_path).expel()
    (folder / "metadata" / "1.root.json").unlink()
    assert sorted(path.name for path in (folder / "metadata").iterdir()) == before
    assert publisher.folder.exists()


def test_it_is_an_alarm_until_somebody_looked(tmp_path: Path) -> None:
    coast = settle(tmp_path)
    made = forge(coast.context.repository.folder, "targets")
    asyncio.run(once(coast.context))
    (name,) = coast.context.repository.aside()
    assert name.startswith(made.name)
    found = alarms([], endings=(), claims=0, now_ms=0, aside=(name,))
    assert [(one.kind, one.text.startswith(f"{name}: somebody")) for one in found] == [
        ("forgery", True)
    ]
    entries = coast.context.read(queries.audit)
    assert (entries[0].action, entries[0].who) == ("repository.set-aside", "console")
    asyncio.run(once(coast.context))
    assert len([e for e in coast.context.read(queries.audit) if "aside" in e.action]) == 1
    coast.context.database.close()


def test_it_stands_in_the_audit_log(console: ConsoleProcess, tmp_path: Path) -> None:
    publisher = copy_of(console, tmp_path)
    publisher.publish(publisher.bundle("birds", 1))
    assert send(console, publisher) == ["birds:1"]
    made = forge(console.data / "repo", "birds")
    publisher.publish(publisher.bundle("birds", 2))
    assert send(console, publisher) == ["birds:2"]
    entries = console.rest.get("audit")["entries"]
    found = next(e for e in entries if e["action"] == "repository.set-aside")
    assert (found["who"], found["subject"]) == ("admin", f"metadata/{made.name}")
    assert set(found["detail"]) == {"sha256"}

"""What publishers and consoles sign, and what a kill in the middle leaves."""

import hashlib
import itertools
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral.errors import LittoralError, MisuseError
from littoral.trust import writer
from littoral.trust.certificates import Authority
from littoral.trust.identity import digest
from littoral.trust.repository import Repository
from littoral.trust.rules import anchors
from simulators.disk import Disk
from simulators.repository import tiny_bundle

NOW = datetime(2027, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Publisher:
    """A folder with keys, a repository and bundles."""

    def __init__(self, base: Path) -> None:
        self.base, self.repo = base, base / "repo"
        self.offline, self.online = base / "offline", base / "online"

    def init(self) -> None:
        writer.init(self.repo, offline=self.offline, online=self.online, fleet="shore", now=NOW)

    def delegate(self, model: str = "digits") -> None:
        writer.delegate(self.repo, model, offline=self.offline, now=NOW)

    def publish(self, release: int = 1) -> writer.Published:
        bundle = self.base / f"bundle-{release}"
        if not bundle.exists():
            bundle.mkdir()
            tiny_bundle(bundle, model="digits", release=release)
        return writer.publish(self.repo, bundle, offline=self.offline, now=NOW)

    def renew(self) -> None:
        writer.renew(self.repo, online=self.online, now=NOW)

    def rotate(self, role: str) -> None:
        writer.rotate(self.repo, role, offline=self.offline, online=self.online, now=NOW)

    def versions(self) -> dict[str, int]:
        return {row.role: row.version for row in writer.verify(self.repo, now=NOW)}


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    made = Publisher(tmp_path)
    made.init()
    return made


def test_a_new_repository_holds_and_names_no_model(publisher: Publisher) -> None:
    assert publisher.versions() == {"root": 1, "targets": 1}
    root = Repository(publisher.repo).root()
    assert root.roles["root"].threshold == 2
    assert len(root.roles["root"].keyids) == 3
    first = (publisher.repo / "metadata" / "1.root.json").read_bytes()
    assert (publisher.repo / "metadata" / "root.json").read_bytes() == first


def test_root_anchors_the_fleet_its_console_and_its_device_ca(publisher: Publisher) -> None:
    found = anchors(Repository(publisher.repo).root())
    online, offline = publisher.online, publisher.offline
    authority = Authority.load(online / "device-ca.pem", online / "device-ca.crt")
    root = Authority.load(offline / "device-ca.pem", offline / "device-ca.crt").root
    assert found.fleet == "shore"
    assert found.device_ca_sha256 == digest(authority.root) == digest(root)
    assert len(found.director) == len(found.time) == 1
    assert found.director.keys().isdisjoint(found.time)


def test_keys_are_secret_and_offline_and_online_are_apart(publisher: Publisher) -> None:
    for folder in (publisher.offline, publisher.online):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.glob("*.pem"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {path.stem for path in publisher.offline.glob("*.pem")} == {
        *("root-1", "root-2", "root-3", "targets-1", "device-ca")
    }
    assert {path.stem for path in publisher.online.glob("*.pem")} == {
        *("snapshot", "timestamp", "director", "time", "device-ca")
    }
    served = [path.read_bytes() for path in publisher.repo.rglob("*.json")]
    assert not any(b"PRIVATE" in data for data in served)


def test_folders_of_keys_that_others_could_read_are_closed(tmp_path: Path) -> None:
    made = Publisher(tmp_path)
    for folder in (made.offline, made.online):
        folder.mkdir(mode=0o755)
    made.init()
    for folder in (made.offline, made.online):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_is_served_may_be_read_by_any_web_server(publisher: Publisher) -> None:
    publisher.delegate()
    publisher.publish()
    publisher.renew()
    for path in publisher.repo.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_init_never_replaces_a_repository(publisher: Publisher) -> None:
    with pytest.raises(MisuseError, match="is there"):
        publisher.init()


@pytest.mark.parametrize("fleet", ["Shore", "", "shore/../sea", "a" * 65])
def test_a_fleet_is_named_like_a_device_before_any_key_is_made(tmp_path: Path, fleet: str) -> None:
    offline = tmp_path / "offline"
    with pytest.raises(MisuseError, match="fleet: expected 1 to 64"):
        writer.init(tmp_path / "repo", offline=offline, online=tmp_path / "online", fleet=fleet)
    assert not offline.exists()


def test_init_keeps_keys_that_are_there(publisher: Publisher) -> None:
    """A console that made its keys first; or an init that was killed."""
    before = {path.name: path.read_bytes() for path in publisher.online.iterdir()}
    shutil.rmtree(publisher.repo)
    publisher.init()
    assert {path.name: path.read_bytes() for path in publisher.online.iterdir()} == before


@pytest.mark.parametrize("model", ["root", "timestamp", "director", "A", "a/b", "", "..", "a" * 65])
def test_a_model_needs_a_name_of_its_own(publisher: Publisher, model: str) -> None:
    with pytest.raises(MisuseError):
        publisher.delegate(model)
    assert publisher.versions() == {"root": 1, "targets": 1}


def test_a_model_is_delegated_once_with_its_own_key(publisher: Publisher) -> None:
    publisher.delegate()
    publisher.delegate("birds")
    with pytest.raises(MisuseError, match="already"):
        publisher.delegate()
    targets = Repository(publisher.repo).targets(Repository(publisher.repo).root()).signed
    assert targets.delegations is not None
    roles = targets.delegations.roles or {}
    assert roles["digits"].paths == ["bundles/digits/*/*"]
    assert roles["digits"].terminating
    assert roles["digits"].keyids != roles["birds"].keyids
    assert publisher.versions() == {"root": 1, "targets": 3, "digits": 1, "birds": 1}


def test_renewing_names_what_is_newest(publisher: Publisher) -> None:
    publisher.delegate()
    publisher.publish(1)
    publisher.renew()
    publisher.publish(2)
    with pytest.raises(LittoralError, match="renew"):
        publisher.versions()
    publisher.renew()
    found = {row.role: row for row in writer.verify(publisher.repo, now=NOW)}
    assert (found["snapshot"].version, found["timestamp"].version) == (2, 2)
    assert found["digits"].releases == (1, 2)


def test_lives_end_when_they_should(publisher: Publisher) -> None:
    publisher.delegate()
    publisher.renew()
    lives = {row.role: row.days_left for row in writer.status(publisher.repo, now=NOW)}
    assert lives == {
        "root": 3 * 365,
        "targets": 365,
        "digits": 365,
        "snapshot": 14,
        "timestamp": 14,
    }
    with pytest.raises(LittoralError, match="timestamp: expired"):
        writer.verify(publisher.repo, now=NOW + 15 * DAY)
    assert writer.status(publisher.repo, now=NOW + 15 * DAY)[-1].days_left == -1


def test_a_root_that_was_not_extended_ends(publisher: Publisher) -> None:
    late = NOW + 1100 * DAY
    writer.delegate(publisher.repo, "digits", offline=publisher.offline, now=late)
    with pytest.raises(LittoralError, match="root: expired"):
        writer.verify(publisher.repo, now=late)
    writer.extend(publisher.repo, offline=publisher.offline, now=late)
    writer.verify(publisher.repo, now=late)


def test_versions_are_counted_from_what_is_there_or_from_a_least(publisher: Publisher) -> None:
    assert writer.renew(publisher.repo, online=publisher.online, now=NOW) == (1, 1)
    assert writer.renew(publisher.repo, online=publisher.online, now=NOW) == (2, 2)
    least = round(NOW.timestamp())
    done = writer.renew(publisher.repo, online=publisher.online, now=NOW, least=least)
    assert done == (least, least)
    publisher.renew()
    assert publisher.versions()["timestamp"] == least + 1


def test_old_snapshots_go_and_the_newest_stay(publisher: Publisher) -> None:
    for _ in range(12):
        publisher.renew()
    assert Repository(publisher.repo).versions()["snapshot"] == list(range(5, 13))
    assert publisher.versions()["snapshot"] == 12


def test_a_folder_without_a_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="repo init"):
        writer.renew(tmp_path, online=tmp_path)


def test_keys_that_are_not_here_are_missed_before_anything_is_written(
    publisher: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    before = publisher.versions()
    for deed in (
        lambda: writer.delegate(publisher.repo, "digits", offline=tmp_path / "empty"),
        lambda: writer.renew(publisher.repo, online=tmp_path / "empty"),
        lambda: writer.extend(publisher.repo, offline=tmp_path / "empty"),
        lambda: writer.rotate(publisher.repo, "targets", offline=tmp_path / "empty"),
        lambda: writer.rotate(publisher.repo, "time", offline=tmp_path / "empty"),
    ):
        with pytest.raises(MisuseError):
            deed()
    assert publisher.versions() == before
    assert list((tmp_path / "empty").iterdir()) == []


# Kills and power cuts.


def lose_and_rotate(publisher: Publisher, role: str) -> None:
    (publisher.offline / f"{role}-1.pem").unlink(missing_ok=True)
    publisher.rotate(role)


DEEDS: dict[str, Callable[[Publisher], object]] = {
    "delegate": lambda p: p.delegate("birds"),
    "publish": lambda p: p.publish(2),
    "rotate targets": lambda p: p.rotate("targets"),
    "rotate a lost key": lambda p: lose_and_rotate(p, "targets"),
    "rotate a model's lost key": lambda p: lose_and_rotate(p, "digits"),
    "rotate digits": lambda p: p.rotate("digits"),
    "rotate time": lambda p: p.rotate("time"),
    "rotate timestamp": lambda p: p.rotate("timestamp"),
    "extend": lambda p: writer.extend(p.repo, offline=p.offline, now=NOW),
    "floor": lambda p: writer.raise_floor(p.repo, "digits", floor=1, offline=p.offline, now=NOW),
}


@pytest.mark.parametrize(
    ("name", "keeps"),
    [*((name, "synced") for name in DEEDS), ("publish", "all"), ("rotate time", "names")],
)
def test_a_deed_may_be_cut_at_any_write_and_done_again(
    tmp_path: Path, name: str, keeps: str
) -> None:
    """For every n: the repository holds, and the deed can be done."""
    before = Publisher(tmp_path / "before")
    before.init()
    before.delegate()
    before.publish(1)
    for n in itertools.count():
        shutil.copytree(before.base, tmp_path / str(n))
        cut = Publisher(tmp_path / str(n))
        with Disk(cut.base, cut_at=n, keeps=keeps) as disk:  # type: ignore[arg-type]
            DEEDS[name](cut)
        held = cut.versions()
        if not disk.was_cut:
            break
        again(name, cut)
        cut.renew()
        found = cut.versions()
        assert all(found[role] >= version for role, version in held.items())
    assert n > 3


def again(name: str, cut: Publisher) -> None:
    """Do it again, as a person would whose machine had died."""
    try:
        DEEDS[name](cut)
    except LittoralError as e:
        done = {"usage", "rollback"}  # delegated, published, or the new key trusted already
        if e.code not in done:
            raise


@pytest.mark.parametrize("keeps", ["all", "synced"])
def test_init_may_be_cut_at_any_write_and_done_again(tmp_path: Path, keeps: str) -> None:
    for n in itertools.count():
        cut = Publisher(tmp_path / str(n))
        cut.base.mkdir()
        with Disk(cut.base, cut_at=n, keeps=keeps) as disk:  # type: ignore[arg-type]
            cut.init()
        if not disk.was_cut:
            break
        if not (cut.repo / "metadata" / "root.json").exists():
            cut.init()
        assert cut.versions() == {"root": 1, "targets": 1}
    assert n > 30


def test_the_root_s_digest_is_of_the_file_that_is_handed_over(publisher: Publisher) -> None:
    data = (publisher.repo / "metadata" / "root.json").read_bytes()
    publisher.rotate("director")
    assert (
        hashlib.sha256(data).hexdigest()
        != hashlib.sha256((publisher.repo / "metadata" / "root.json").read_bytes()).hexdigest()
    )
    assert (publisher.repo / "metadata" / "1.root.json").read_bytes() == data

"""A medium: what is wanted of a repository, for longer than a console's word lives."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral.errors import ExpiredError, HashError, MisuseError, StorageError
from littoral.trust import survey, writer
from littoral.trust.client import Client, bootstrap
from littoral.trust.exporting import LIFE, Exported, export
from littoral_agent.folder import Folder
from littoral_converter.encoding import Encoder
from simulators.console import littoral
from simulators.repository import RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> RepositorySimulator:
    repo = RepositorySimulator(tmp_path / "publisher")
    for model, release in (("digits", 1), ("digits", 2), ("tides", 1)):
        repo.publish(repo.bundle(model, release))
    return repo


def stick(repo: RepositorySimulator, **more: object) -> tuple[Path, Exported]:
    target = repo.base / "stick"
    return target, export(repo.folder, target, online=repo.online, **more)  # type: ignore[arg-type]


def client(repo: RepositorySimulator, medium: Path, *, later: timedelta = timedelta()) -> Client:
    """Return a device that knows the first root, and nobody but the medium."""
    folder = repo.base / "device"
    bootstrap(folder, repo.root)
    return Client(folder, Folder(medium), now=datetime.now(UTC) + later)


def test_a_medium_is_a_repository_that_holds(repo: RepositorySimulator) -> None:
    medium, done = stick(repo)
    assert done.releases == ("digits:1", "digits:2", "tides:1")
    writer.verify(medium, now=datetime.now(UTC))


def test_a_medium_carries_the_files_as_they_are(tmp_path: Path) -> None:
    """It is not paid by the byte, and whoever reads it asks for no encoding."""
    repo = RepositorySimulator(tmp_path / "publisher")
    done = repo.publish(repo.bundle("digits", 1), encode=Encoder(say=lambda _: None))
    packed = [file for file in done.files if file.zstd is not None]
    assert packed
    medium, _ = stick(repo)
    plain, whole = (len(list((folder / "blobs").iterdir())) for folder in (medium, repo.folder))
    assert whole - plain == len(packed)
    writer.verify(medium, now=datetime.now(UTC))
    assert (survey.missing(medium), survey.missing(repo.folder)) == (len(packed), 0)


def test_it_is_believed_longer_than_a_console_s_word_and_not_for_ever(
    repo: RepositorySimulator,
) -> None:
    medium, done = stick(repo)
    assert (done.ends_first, done.expires.date()) == (
        "snapshot",
        (datetime.now(UTC) + LIFE).date(),
    )
    for days in (0, 89):
        one = client(repo, medium, later=timedelta(days=days))
        one.refresh()
        assert one.lookup("bundles/digits/2/manifest.json")
    with pytest.raises(ExpiredError):
        client(repo, medium, later=timedelta(days=91)).refresh()


def test_what_is_not_wanted_is_named_and_not_carried(repo: RepositorySimulator) -> None:
    """No role may vanish from a snapshot; files are what takes room."""
    medium, done = stick(repo, wanted={"digits": {2}})
    assert done.releases == ("digits:2",)
    assert [p.parent.name for p in (medium / "targets").rglob("*.manifest.json")] == ["2"]
    one = client(repo, medium)
    one.refresh()
    assert one.lookup("bundles/tides/1/manifest.json")


def test_the_console_s_next_word_is_newer_than_the_medium(repo: RepositorySimulator) -> None:
    """Else a device that comes back would take the honest console for a rollback."""
    medium, _ = stick(repo)
    one = client(repo, medium)
    one.refresh()
    writer.renew(repo.folder, online=repo.online, least=int(datetime.now(UTC).timestamp()) + 60)
    back = Client(repo.base / "device", Folder(repo.folder), now=datetime.now(UTC))
    back.refresh()


def test_the_medium_is_newer_than_the_console_s_last_word(repo: RepositorySimulator) -> None:
    far = int(datetime.now(UTC).timestamp()) + 10**6
    writer.renew(repo.folder, online=repo.online, least=far)
    one = client(repo, repo.folder)
    one.refresh()
    medium, _ = stick(repo)
    client(repo, medium).refresh()


def test_it_is_done_over_an_older_one(repo: RepositorySimulator) -> None:
    _, first = stick(repo)
    client(repo, repo.base / "stick").refresh()
    repo.publish(repo.bundle("digits", 3))
    medium, second = stick(repo)
    assert first.copied_bytes > second.copied_bytes > 0
    assert "digits:3" in second.releases
    one = client(repo, medium)
    one.refresh()
    assert one.lookup("bundles/digits/3/manifest.json")
    assert stick(repo)[1].copied_bytes == 0


def test_the_whole_chain_of_roots_travels(repo: RepositorySimulator) -> None:
    writer.rotate(repo.folder, "timestamp", offline=repo.offline, online=repo.online)
    medium, _ = stick(repo)
    one = client(repo, medium)
    one.refresh()
    assert one.root.version == 2


def test_another_fleet_s_medium_is_left_alone(repo: RepositorySimulator, tmp_path: Path) -> None:
    other = RepositorySimulator(tmp_path / "other", fleet="other")
    shutil.copytree(other.folder, repo.base / "stick")
    with pytest.raises(MisuseError, match="another one"):
        stick(repo)


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_without_the_console_s_keys_nothing_is_written(
    repo: RepositorySimulator, role: str
) -> None:
    (repo.online / f"{role}.pem").unlink()
    with pytest.raises(MisuseError, match=f"{role}, found 0; they are the console's"):
        stick(repo)
    assert not (repo.base / "stick").exists()


def test_what_takes_no_folder_is_no_medium(repo: RepositorySimulator, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file/blobs"):
        export(repo.folder, tmp_path / "file", online=repo.online)


def test_what_is_damaged_is_not_carried(repo: RepositorySimulator) -> None:
    blob = next((repo.folder / "blobs").iterdir())
    blob.write_bytes(bytes(blob.stat().st_size))
    with pytest.raises(HashError):
        stick(repo)
    assert not (repo.base / "stick/metadata/timestamp.json").exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--model", "tides"), ["tides:1"]),
        (("--model", "digits:1", "--model", "digits:2"), ["digits:1", "digits:2"]),
        (("--model", "digits:1", "--model", "digits"), ["digits:1", "digits:2"]),
    ],
)
def test_the_command_takes_models_and_releases(
    repo: RepositorySimulator, words: tuple[str, ...], found: list[str]
) -> None:
    target = repo.base / "stick"
    done = littoral("repo", "export", repo.folder, target, "--online", repo.online, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.partition(";")[0] == f"{target}: {', '.join(found)}"


@pytest.mark.parametrize(
    ("word", "said"),
    [("waves", "no model"), ("digits:9", "no release 9"), ("digits:x", "MODEL:RELEASE")],
)
def test_the_command_says_what_there_is_not(
    repo: RepositorySimulator, word: str, said: str
) -> None:
    where = (repo.folder, repo.base / "stick", "--online", repo.online)
    done = littoral("repo", "export", *where, "--model", word)
    assert (done.returncode, said in done.stderr) == (2, True)

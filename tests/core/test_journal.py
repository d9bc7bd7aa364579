"""The journal: what a power cut leaves is read whole, or refused whole."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral import records
from littoral.errors import DiskFullError, JournalError, StorageError
from littoral.wire import journal
from littoral.wire.journal import Choice, Journal, Quarantine, State

A, B = "a" * 64, "b" * 64


def choice(release: int, manifest: str = A) -> Choice:
    return Choice(manifest=manifest, release=release, variant="cpu", hardware="cpu-x86_64")


FULL = Journal(
    model="digits",
    state=State.PROBATION,
    good=choice(1),
    candidate=choice(2, B),
    tries=1,
    watched_s=12.5,
    quarantine={"c" * 64: Quarantine(code="outputs", attempt=3)},
    kept=(choice(1),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits.json"


def test_what_was_written_is_read_back(path: Path) -> None:
    journal.write(path, FULL)
    assert journal.read(path) == FULL


def test_serves_group_reads_it_and_nobody_else(path: Path) -> None:
    journal.write(path, FULL)
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_a_journal_cut_short_anywhere_is_refused(path: Path) -> None:
    whole = records.to_json(FULL)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(JournalError, match=r"digits\.json: expected a journal"):
            journal.read(path)


@given(st.binary(max_size=100))
def test_whatever_stands_there_is_a_journal_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "digits.json"
    path.write_bytes(data)
    with pytest.raises(JournalError):
        journal.read(path)


def test_another_models_journal_is_refused(tmp_path: Path) -> None:
    journal.write(tmp_path / "other.json", FULL)
    with pytest.raises(JournalError, match="model 'digits'"):
        journal.read(tmp_path / "other.json")


def test_a_candidate_goes_with_every_state_but_idle() -> None:
    with pytest.raises(ValueError, match="not idle"):
        Journal(model="digits", state=State.TESTING)
    with pytest.raises(ValueError, match="not idle"):
        Journal(model="digits", candidate=choice(1))


@pytest.mark.parametrize("state", State)
def test_only_probation_lets_a_candidate_answer(state: State) -> None:
    candidate = None if state is State.IDLE else choice(2, B)
    it = Journal(model="digits", state=state, good=choice(1), candidate=candidate)
    assert it.running == (candidate if state is State.PROBATION else it.good)


def test_a_full_disk_leaves_the_old_journal(small_disk: Path) -> None:
    path = small_disk / "digits.json"
    journal.write(path, FULL)
    (small_disk / "ballast").write_bytes(b"x" * (512 * 1024 - 4096 * 2))
    big = Journal(
        model="digits", quarantine={f"{n:064x}": FULL.quarantine["c" * 64] for n in range(999)}
    )
    with pytest.raises(DiskFullError):
        journal.write(path, big)
    assert journal.read(path) == FULL


def test_what_is_proven_is_kept_apart_from_what_is_tried(path: Path) -> None:
    assert journal.read_proven(path) is None
    journal.write_proven(path, FULL)
    found = journal.read_proven(path)
    assert found == Journal(
        model="digits", good=FULL.good, kept=FULL.kept, quarantine=FULL.quarantine
    )
    assert list(journal.find(path.parent)) == []
    journal.proven(path).write_bytes(b"{")
    assert journal.read_proven(path) is None


def test_journals_are_found_and_what_lies_beside_them_is_not(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", ".a.json.123.new", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in journal.find(tmp_path)] == ["a.json", "b.json"]


def test_a_folder_of_journals_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    assert list(journal.find(tmp_path / "none")) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        list(journal.find(tmp_path / "file"))

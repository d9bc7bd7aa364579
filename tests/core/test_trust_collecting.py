"""What enough people signed comes into the repository whole, and nothing else does."""

import itertools
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from littoral.errors import ExpiredError, MisuseError, MixError, SignatureError
from littoral.trust import keyfiles
from littoral.trust.ceremony import Changes, draft_root, draft_targets
from littoral.trust.collecting import collect
from littoral.trust.drafts import Draft
from simulators.disk import Disk
from simulators.people import NOW, People


@pytest.fixture
def people(tmp_path: Path) -> People:
    made = People(tmp_path)
    made.found()
    return made


def replacing(people: People) -> Draft:
    changes = Changes(trust=(("root", people.public("eve")),), revoke=(("root", "carl"),))
    return draft_root(people.repo, changes, now=NOW)


def test_the_first_version_needs_more_than_half(tmp_path: Path) -> None:
    people = People(tmp_path)
    first = people.first()
    with pytest.raises(SignatureError, match=r"1 of the 2 .* 1 more of: bert .*, carl"):
        people.collect(first, "anna", "dora")
    assert not people.repo.exists()
    people.collect(first, "anna", "bert", "dora")
    assert people.versions() == {"root": 1, "targets": 1}


def test_one_of_two_signers_changes_nothing(people: People) -> None:
    draft = replacing(people)
    with pytest.raises(SignatureError, match="1 more of: bert"):
        people.collect([draft], "anna")
    with pytest.raises(SignatureError):
        people.collect([draft], "anna", "eve")  # for the new root, and not for the held one
    with pytest.raises(SignatureError):
        people.collect([draft], "carl", "anna")  # the other way round
    assert people.versions()["root"] == 1


def test_signing_twice_counts_once(people: People) -> None:
    (once,) = people.sign([replacing(people)], "anna")
    twice = once.signed_by(keyfiles.load_signer(people.key("anna")))
    with pytest.raises(SignatureError):
        collect(people.repo, [once, twice], now=NOW)


def test_what_was_changed_after_it_was_signed_is_not_signed(people: People) -> None:
    (draft,) = people.sign([replacing(people)], "anna", "bert")
    draft.metadata.signed.expires += timedelta(days=1)
    with pytest.raises(SignatureError, match="signed by 0 of the 2"):
        collect(people.repo, [draft], now=NOW)


def test_collecting_twice_is_collecting_once(people: People) -> None:
    signed = people.sign([replacing(people)], "anna", "bert")
    collect(people.repo, signed, now=NOW)
    before = (people.repo / "metadata" / "2.root.json").read_bytes()
    collect(people.repo, signed, now=NOW)
    assert (people.repo / "metadata" / "2.root.json").read_bytes() == before


def test_only_signatures_that_hold_come_in(people: People) -> None:
    (draft,) = people.sign([replacing(people)], "anna", "bert")
    draft.metadata.signatures["0" * 64] = draft.metadata.signatures[people.keyid("anna")]
    collect(people.repo, [draft], now=NOW)
    held = Metadata.from_file(str(people.repo / "metadata" / "2.root.json"))
    assert set(held.signatures) == {people.keyid("anna"), people.keyid("bert")}


def test_of_two_drafts_of_one_version_the_second_is_drafted_anew(people: People) -> None:
    first, second = replacing(people), draft_root(people.repo, Changes(), now=NOW)
    people.collect([first], "anna", "bert")
    with pytest.raises(MixError, match="at version 2; draft it anew"):
        people.collect([second], "anna", "bert")


def test_a_draft_that_lay_too_long_is_over(people: People) -> None:
    signed = people.sign([draft_root(people.repo, Changes(life=timedelta(2)), now=NOW)], "anna")
    with pytest.raises(ExpiredError):
        collect(people.repo, signed, now=NOW + timedelta(days=2))


def test_a_role_that_nobody_delegates_stays_out(people: People) -> None:
    """A draft may say of itself who signs it; the repository says otherwise."""
    targets, _ = draft_targets(people.repo, people.trusting(birds="emil"), now=NOW)
    (_, birds) = people.sign(
        draft_targets(people.repo, people.trusting(birds="emil"), now=NOW), "emil"
    )
    with pytest.raises(SignatureError, match="nobody is trusted with birds"):
        collect(people.repo, [birds], now=NOW)
    assert not list((people.repo / "metadata").glob("*birds*"))
    assert targets.role == "targets"


def test_a_model_and_who_names_it_come_in_together_or_not_at_all(people: People) -> None:
    drafts = draft_targets(people.repo, people.trusting(birds="emil"), now=NOW)
    with pytest.raises(SignatureError):
        people.collect(drafts, "dora")
    assert people.versions() == {"root": 1, "targets": 1}
    people.collect(drafts, "dora", "emil")
    assert people.versions() == {"root": 1, "targets": 2, "birds": 1}


def test_a_first_draft_founds_nothing_over_a_repository(people: People) -> None:
    with pytest.raises(MisuseError, match="a repository is there"):
        people.first()


@pytest.mark.parametrize("keeps", ["all", "synced", "names"])
def test_a_kill_at_any_write_is_followed_by_collecting_once_more(
    tmp_path: Path, keeps: str
) -> None:
    before = People(tmp_path / "before")
    before.found()
    targets = draft_targets(before.repo, before.trusting(birds="emil"), now=NOW)
    signed = before.sign([replacing(before), *targets], "anna", "bert", "dora", "emil")
    for n in itertools.count():
        shutil.copytree(before.repo, tmp_path / str(n) / "repo")
        cut = People(tmp_path / str(n))
        with Disk(cut.base, cut_at=n, keeps=keeps) as disk:  # type: ignore[arg-type]
            collect(cut.repo, signed, now=NOW)
        collect(cut.repo, signed, now=NOW)
        assert cut.versions() == {"root": 2, "targets": 2, "birds": 1}
        if not disk.was_cut:
            break
    assert n > 12

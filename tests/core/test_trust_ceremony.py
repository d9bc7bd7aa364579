"""What several people are to sign: whom to trust, whom no more, what is released."""

from datetime import timedelta
from pathlib import Path

import pytest

from littoral.errors import MisuseError, RollbackError
from littoral.trust import keyfiles, rules, writer
from littoral.trust.ceremony import Changes, draft_root, draft_targets
from littoral.trust.releasing import draft_model
from littoral.trust.repository import Repository
from simulators.people import NOW, People
from simulators.repository import tiny_bundle
from simulators.token import token, tokens

__all__ = ["token", "tokens"]


@pytest.fixture
def people(tmp_path: Path) -> People:
    made = People(tmp_path)
    made.found()
    return made


def row(people: People, role: str) -> writer.Row:
    return {one.role: one for one in writer.verify(people.repo, now=NOW)}[role]


def model(people: People, *who: str) -> None:
    """Let ``who`` release digits."""
    trust = tuple(("digits", people.public(one)) for one in who)
    drafts = draft_targets(people.repo, Changes(trust=trust), now=NOW)
    people.collect(drafts, "dora", *who)


def test_a_root_key_is_replaced_by_the_others(people: People) -> None:
    """Carl left, Eve came: Anna and Bert are enough, and Eve signs what names her."""
    changes = Changes(trust=(("root", people.public("eve")),), revoke=(("root", "carl"),))
    people.collect([draft_root(people.repo, changes, now=NOW)], "anna", "bert")
    assert people.versions()["root"] == 2
    held = Repository(people.repo).root().roles["root"]
    assert set(held.keyids) == {people.keyid(who) for who in ("anna", "bert", "eve")}


def test_a_revoked_key_counts_no_more(people: People) -> None:
    changes = Changes(trust=(("root", people.public("eve")),), revoke=(("root", "carl"),))
    people.collect([draft_root(people.repo, changes, now=NOW)], "anna", "bert")
    longer = draft_root(people.repo, Changes(), now=NOW)
    assert not longer.wants(people.keyid("carl"))
    with pytest.raises(MisuseError, match=r"does not sign this; those that do are: .*eve"):
        longer.signed_by(keyfiles.load_signer(people.key("carl")))


def test_a_new_root_is_signed_for_the_old_one_and_for_itself(people: People) -> None:
    """From 2 of 3 to 3 of 3 with other people: each of the two roots asks for its own."""
    trust = tuple(("root", people.public(who)) for who in ("eve", "finn"))
    revoke = (("root", "bert"), ("root", "carl"))
    changes = Changes(trust=trust, revoke=revoke, thresholds={"root": 3})
    draft = draft_root(people.repo, changes, now=NOW)
    old, new = people.sign([draft], "anna", "eve", "finn")[0].quorums
    assert (old.missing, new.missing) == (1, 0)
    people.collect([draft], "anna", "bert", "eve", "finn")
    assert people.versions()["root"] == 2


def test_targets_change_hands_in_three_steps(people: People) -> None:
    """Trusted beside the old key, signed by the new one, and only then is the old one gone."""
    early = Changes(trust=(("targets", people.public("eve")),), revoke=(("targets", "dora"),))
    with pytest.raises(MisuseError, match="signed anew by enough"):
        draft_root(people.repo, early, now=NOW)
    people.collect(
        [draft_root(people.repo, people.trusting(targets="eve"), now=NOW)], "anna", "carl"
    )
    people.collect(draft_targets(people.repo, Changes(), now=NOW), "eve")
    gone = Changes(revoke=(("targets", people.keyid("dora")[:8]),))
    people.collect([draft_root(people.repo, gone, now=NOW)], "bert", "carl")
    assert row(people, "targets").keyids == (people.keyid("eve"),)


@pytest.mark.parametrize("role", ["director", "time", "snapshot", "timestamp"])
def test_the_console_s_keys_are_replaced_by_root_s_people(people: People, role: str) -> None:
    repository = Repository(people.repo)
    before = (
        next(iter(repository.root().unrecognized_fields[rules.FIELD][role]))
        if role in {"director", "time"}
        else repository.root().roles[role].keyids[0]
    )
    changes = Changes(trust=((role, people.public("console")),), revoke=((role, before[:12]),))
    people.collect([draft_root(people.repo, changes, now=NOW)], "anna", "bert")
    root = repository.root()
    anchors = rules.anchors(root)
    named = {
        "director": anchors.director,
        "time": anchors.time,
        "snapshot": root.roles["snapshot"].keyids,
        "timestamp": root.roles["timestamp"].keyids,
    }
    assert list(named[role]) == [people.keyid("console")]


def test_two_people_release_a_model_together(people: People, tmp_path: Path) -> None:
    trust = tuple(("digits", people.public(who)) for who in ("emil", "fay"))
    drafts = draft_targets(people.repo, Changes(trust=trust, thresholds={"digits": 2}), now=NOW)
    assert [draft.role for draft in drafts] == ["targets", "digits"]
    people.collect(drafts, "dora", "emil", "fay")
    (tmp_path / "bundle").mkdir()
    bundle = tiny_bundle(tmp_path / "bundle", model="digits", release=3)
    release = draft_model(people.repo, "digits", bundle=bundle, floor=2, now=NOW)
    people.collect([release], "emil", "fay")
    people.renew()
    assert row(people, "digits").releases == (3,)
    assert (row(people, "digits").threshold, people.versions()["digits"]) == (2, 2)
    with pytest.raises(RollbackError):
        draft_model(people.repo, "digits", bundle=bundle, now=NOW)
    with pytest.raises(RollbackError, match="never falls"):
        draft_model(people.repo, "digits", floor=1, now=NOW)


def test_a_floor_above_every_release_is_a_slip_unless_forced(people: People) -> None:
    model(people, "emil")
    with pytest.raises(MisuseError, match="--force"):
        draft_model(people.repo, "digits", floor=7, now=NOW)
    people.collect([draft_model(people.repo, "digits", floor=7, force=True, now=NOW)], "emil")
    repository = Repository(people.repo)
    held = repository.models(repository.targets(repository.root()).signed)["digits"]
    assert rules.floor(held.signed, "digits") == 7


def test_a_model_s_key_is_revoked_once_another_signed_what_it_had(people: People) -> None:
    model(people, "emil")
    with pytest.raises(MisuseError, match="signed anew"):
        draft_targets(
            people.repo,
            Changes(trust=(("digits", people.public("fay")),), revoke=(("digits", "emil"),)),
            now=NOW,
        )
    people.collect(draft_targets(people.repo, people.trusting(digits="fay"), now=NOW), "dora")
    people.collect([draft_model(people.repo, "digits", now=NOW)], "fay")
    gone = Changes(revoke=(("digits", "emil"),))
    people.collect(draft_targets(people.repo, gone, now=NOW), "dora")
    assert row(people, "digits").keyids == (people.keyid("fay"),)


def test_whoever_signs_may_do_it_on_a_token(tmp_path: Path, token: str) -> None:
    """Anna's key never leaves her token, Bert's lies in a file: both count for the same root."""
    people = People(tmp_path)
    keyfiles.new_on_token(tmp_path / "anna" / "anna.pkcs11", token)
    people.found()
    assert people.versions() == {"root": 1, "targets": 1}
    people.collect([draft_root(people.repo, Changes(), now=NOW)], "anna", "carl")
    assert people.versions()["root"] == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes(thresholds={"root": 4}), "expected 1 to 3 signatures"),
        (Changes(thresholds={"root": 0}), "expected 1 to 3"),
        (Changes(thresholds={"director": 2}), "its roles are"),
        (Changes(revoke=(("root", "nobody"),)), "there are: .*anna"),
        (Changes(revoke=(("root", ""),)), "expected the owner"),
        (Changes(revoke=(("digits", "anna"),)), "root names nobody for 'digits'"),
        (Changes(revoke=(("root", "anna"), ("root", "bert"))), "expected 1 to 1"),
    ],
)
def test_a_root_that_could_not_be_signed_is_not_drafted(
    people: People, changes: Changes, said: str
) -> None:
    with pytest.raises(MisuseError, match=said):
        draft_root(people.repo, changes, now=NOW)


def test_the_last_key_of_an_anchor_stays(people: People) -> None:
    (keyid,) = rules.anchors(Repository(people.repo).root()).time
    with pytest.raises(MisuseError, match="trust another"):
        draft_root(people.repo, Changes(revoke=(("time", keyid),)), now=NOW)


@pytest.mark.parametrize("name", ["root", "director", "A", "a/b", ".."])
def test_a_model_needs_a_name_of_its_own(people: People, name: str) -> None:
    with pytest.raises(MisuseError):
        draft_targets(people.repo, people.trusting(**{name: "emil"}), now=NOW)


@pytest.mark.parametrize("role", ["snapshot", "director"])
def test_what_the_console_signs_has_no_draft(people: People, role: str) -> None:
    with pytest.raises(MisuseError, match="the console signs that"):
        draft_model(people.repo, role, now=NOW)


def test_a_life_may_be_as_long_as_people_want(people: People) -> None:
    draft = draft_root(people.repo, Changes(life=timedelta(days=30)), now=NOW)
    assert draft.metadata.signed.expires == NOW + timedelta(days=30)

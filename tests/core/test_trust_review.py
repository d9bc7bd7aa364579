"""What people read before they sign."""

from pathlib import Path

import pytest

from littoral.trust.ceremony import Changes, draft_root, draft_targets
from littoral.trust.drafts import Draft
from littoral.trust.releasing import draft_model
from littoral.trust.review import lines
from simulators.people import NOW, People
from simulators.repository import tiny_bundle


@pytest.fixture
def people(tmp_path: Path) -> People:
    made = People(tmp_path)
    made.found()
    return made


def said(draft: Draft) -> list[str]:
    return [" ".join(line.split()) for line in lines(draft, now=NOW)]


def test_all_of_a_root_is_read_and_what_is_new_and_gone_is_marked(people: People) -> None:
    changes = Changes(
        trust=(("root", people.public("eve")), ("targets", people.public("eve"))),
        revoke=(("root", "carl"),),
        thresholds={"root": 3},
    )
    found = said(draft_root(people.repo, changes, now=NOW))
    assert found[0].startswith("root 2, after 1 (sha256 ")
    assert "root: 3 (was 2) of 3" in found
    for mark, who in (("+ ", "eve"), ("- ", "carl"), ("", "anna")):
        assert f"{mark}{who} {people.keyid(who)[:12]} ed25519" in found
    assert sum(line.startswith("+ eve") for line in found) == 2
    assert "fleet shore" in found
    assert not any(line.startswith("!") for line in found)


def test_who_still_has_to_sign_is_said(people: People) -> None:
    (draft,) = people.sign([draft_root(people.repo, Changes(), now=NOW)], "anna")
    assert any(
        line.startswith("signed for root 1, 2 needed: anna") and "1 more of: " in line
        for line in said(draft)
    )


def test_releases_and_floors_that_are_new_are_read(people: People, tmp_path: Path) -> None:
    targets, first = draft_targets(people.repo, people.trusting(digits="emil"), now=NOW)
    assert "+ for bundles/digits/*/*" in said(targets)
    people.collect([targets, first], "dora", "emil")
    drafts = []
    for release in (1, 2):
        (tmp_path / f"bundle-{release}").mkdir()
        bundle = tiny_bundle(tmp_path / f"bundle-{release}", model="digits", release=release)
        drafts.append(draft_model(people.repo, "digits", bundle=bundle, floor=release, now=NOW))
        people.collect(drafts[-1:], "emil")
    found = said(drafts[-1])
    assert "+ floor 2 (was 1)" in found
    (new,) = [line for line in found if line.startswith("+ bundles")]
    assert new.startswith("+ bundles/digits/2/manifest.json sha256 ")
    assert "and 1 manifest as before" in found


def test_a_version_before_that_nobody_signed_hides_nothing(people: People, tmp_path: Path) -> None:
    """Who prepares a draft invents the version before it, to make a release look old."""
    people.collect(draft_targets(people.repo, people.trusting(digits="emil"), now=NOW), *TWO)
    (tmp_path / "bundle").mkdir()
    bundle = tiny_bundle(tmp_path / "bundle", model="digits", release=1)
    draft = draft_model(people.repo, "digits", bundle=bundle, now=NOW)
    assert draft.before is not None
    draft.before.signed.targets.update(draft.metadata.signed.targets)
    found = said(draft)
    assert any(line.startswith("! the version before is signed by nobody") for line in found)
    assert any(line.startswith("+ bundles/digits/1/") for line in found)


def test_an_owner_s_name_cannot_paint_the_screen(people: People) -> None:
    key = people.public("eve")
    key.unrecognized_fields["x-owner"] = "anna\x1b[2K\r"
    draft = draft_root(people.repo, Changes(trust=(("root", key),)), now=NOW)
    assert not any("\x1b" in line or "\r" in line for line in lines(draft, now=NOW))


TWO = ("dora", "emil")

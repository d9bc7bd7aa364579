"""Drafts as files that strangers may have touched."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from littoral.errors import BundleError, MisuseError, MixError, UnsupportedFormatError
from littoral.trust import keyfiles
from littoral.trust.ceremony import Changes, draft_root, draft_targets
from littoral.trust.drafts import Draft, find, load, merge, save
from simulators.people import NOW, People


@pytest.fixture
def people(tmp_path: Path) -> People:
    made = People(tmp_path)
    made.found()
    return made


@pytest.fixture
def draft(people: People) -> Draft:
    return draft_root(people.repo, Changes(), now=NOW)


def by(people: People, who: str, draft: Draft) -> Draft:
    return draft.signed_by(keyfiles.load_signer(people.key(who)))


def test_a_draft_travels_as_a_file(people: People, draft: Draft, tmp_path: Path) -> None:
    path = save(tmp_path / "out", by(people, "anna", draft))
    assert path.name == "root-2.draft.json"
    found = load(path)
    assert found.metadata.to_dict() == by(people, "anna", draft).metadata.to_dict()
    assert [quorum.missing for quorum in found.quorums] == [1, 1]
    assert not found.is_complete
    assert by(people, "carl", found).is_complete
    assert b"PRIVATE" not in path.read_bytes()


def test_signatures_on_copies_are_put_together(people: People, draft: Draft) -> None:
    (merged,) = merge([by(people, "anna", draft), draft, by(people, "carl", draft)])
    assert set(merged.metadata.signatures) == {people.keyid("anna"), people.keyid("carl")}


@pytest.mark.parametrize("first", [True, False])
def test_a_broken_signature_displaces_no_good_one(
    people: People, draft: Draft, *, first: bool
) -> None:
    """Whoever sends garbage under Anna's name takes nothing from what Anna signed."""
    good, broken = by(people, "anna", draft), by(people, "anna", draft)
    broken.metadata.signatures[people.keyid("anna")].signature = "00" * 64
    (merged,) = merge([broken, good] if first else [good, broken])
    assert set(merged.verified) == {people.keyid("anna")}


def test_drafts_that_say_different_things_are_not_one(people: People, draft: Draft) -> None:
    other = draft_root(people.repo, people.trusting(root="eve"), now=NOW)
    with pytest.raises(MixError, match="sign copies of one"):
        merge([by(people, "anna", draft), by(people, "bert", other)])


def test_one_key_under_two_ids_is_one_signer(people: People) -> None:
    """Whoever holds one key of two cannot count it twice by giving it another id."""
    anna = people.public("anna")
    twice = people.public("anna")
    twice.keyid = "0" * 64
    draft = draft_root(people.repo, Changes(trust=(("root", twice),)), now=NOW)
    signed = by(people, "anna", draft)
    signed.metadata.signatures["0" * 64] = type(signed.metadata.signatures[anna.keyid])(
        "0" * 64, signed.metadata.signatures[anna.keyid].signature
    )
    assert [quorum.missing for quorum in signed.quorums] == [1, 1]


def _set(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda value: value.update(fields)


@pytest.mark.parametrize(
    "change",
    [
        _set(role="../../etc/x"),
        _set(role="targets"),
        _set(role=7),
        _set(strange=1),
        _set(by={}),
        _set(metadata={"signed": {}, "signatures": []}),
        lambda value: value.pop("metadata"),
        lambda value: value["metadata"]["signed"].update(version=1.5),
        lambda value: value["metadata"]["signed"].update(_type="targets"),
        lambda value: value["before"]["signed"].update(_type="snapshot"),
    ],
)
def test_what_is_no_draft_is_malformed(
    draft: Draft, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = save(tmp_path, draft)
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(BundleError):
        load(path)


def test_what_comes_from_a_later_version_is_said_to_be_so(draft: Draft, tmp_path: Path) -> None:
    path = save(tmp_path, draft)
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(UnsupportedFormatError):
        load(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format":1,"format":1}', b"\xff" * 10])
def test_arbitrary_bytes_are_no_draft(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.draft.json").write_bytes(data)
    with pytest.raises(BundleError):
        load(tmp_path / "x.draft.json")


def test_a_folder_stands_for_the_drafts_in_it(people: People, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for one in draft_targets(people.repo, people.trusting(birds="emil"), now=NOW):
        save(folder, one)
    (folder / "notes.json").write_text("{}")
    assert [path.name for path in find([folder])] == ["birds-1.draft.json", "targets-2.draft.json"]
    with pytest.raises(MisuseError, match="found none"):
        find([people.offline])
    with pytest.raises(MisuseError, match="expected a draft"):
        load(tmp_path / "nothing")

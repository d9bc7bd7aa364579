"""A release for several people to sign. Of floors and lives: test_trust_ceremony.py."""

from pathlib import Path

import pytest

from littoral.bundle.manifest import Manifest
from littoral.errors import MisuseError
from littoral.trust import survey
from littoral.trust.ceremony import Changes, draft_targets
from littoral.trust.releasing import draft_release
from littoral.trust.repository import Repository, releases
from littoral_converter.encoding import Encoder
from simulators.people import NOW, People
from simulators.repository import tiny_bundle


def test_a_draft_names_the_encodings_that_whoever_prepared_it_made(tmp_path: Path) -> None:
    """The manifest is made once: those who sign it need no encoder, and no bundle."""
    people = People(tmp_path)
    people.found()
    trust = tuple(("digits", people.public(who)) for who in ("emil", "fay"))
    changes = Changes(trust=trust, thresholds={"digits": 2})
    people.collect(draft_targets(people.repo, changes, now=NOW), "dora", "emil", "fay")
    for release in (3, 4):
        folder = tmp_path / f"bundle-{release}"
        folder.mkdir()
        bundle = tiny_bundle(folder, model="digits", release=release)
        encode = Encoder(say=lambda _: None)
        draft, done = draft_release(people.repo, bundle, encode=encode, floor=3, now=NOW)
        assert (done.release, draft.name) == (release, f"digits-{release - 1}.draft.json")
        people.collect([draft], "emil", "fay")
    people.renew()
    assert people.versions()["digits"] == 3
    assert survey.missing(people.repo) == 0
    manifest = newest(Repository(people.repo))
    kinds = [one.kind for one in manifest.files["model.tflite"].encodings]
    assert kinds[0] == "zstd", kinds


def test_a_model_with_whom_nobody_is_trusted_is_for_those_who_sign_targets(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.found()
    bundle = tiny_bundle(tmp_path, model="birds", release=1)
    with pytest.raises(MisuseError, match=r"littoral repo draft .* targets --trust birds=PUB"):
        draft_release(people.repo, bundle, now=NOW)


def newest(repository: Repository) -> Manifest:
    held = repository.models(repository.targets(repository.root()).signed)["digits"]
    named = releases(held.signed, "digits")
    return repository.read_manifest("digits", named[max(named)])

"""An identity that is whole, and every way in which it can be broken."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral import records
from littoral.trust.identity import load_pem
from littoral.trust.keys import new_key
from littoral_agent import identity as identities
from littoral_agent.doctor import identity
from littoral_agent.doctor.finding import Place
from simulators.fleet import Fleet


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A device that is enrolled."""
    with Fleet(tmp_path, broker=False) as fleet:
        fleet.enrol()
        yield Place(fleet.tree)


def test_who_is_not_enrolled_is_told_how(tmp_path: Path) -> None:
    with Fleet(tmp_path, broker=False) as fleet:
        here = Place(fleet.tree)
        found = identity.enrolled(here)
        assert (found.state, "littoral enroll" in found.found) == ("skip", True)
        assert identity.certificate(here).state == identity.root(here).state == "skip"


def test_all_is_well(place: Place) -> None:
    found = identity.enrolled(place)
    assert (found.state, found.found) == ("ok", "pi-7, incarnation 1, of the fleet 'shore'")
    found = identity.certificate(place)
    assert (found.state, "CN=pi-7" in found.found) == ("ok", True)
    assert identity.root(place).state == "ok"


def test_an_enrolment_that_cannot_be_read(place: Place) -> None:
    identities.of(place.tree).enrolment.write_text("{")
    assert identity.enrolled(place).state == "fail"


def rewrite(place: Place, **changed: object) -> None:
    who = identities.of(place.tree)
    held = who.read()
    assert held is not None
    who.enrolment.write_bytes(records.to_json({**records.plain(held), **changed}))


def test_the_card_of_another_board(place: Place) -> None:
    rewrite(place, serial="of-another-board")
    found = identity.enrolled(place)
    assert found.state == "fail"
    assert "of-another-board" in found.wrong


def test_trust_that_was_taken_as_it_came(place: Place) -> None:
    rewrite(place, trust="first-use")
    assert identity.enrolled(place).state == "warn"


def test_another_key_than_the_certificates(place: Place) -> None:
    key = identities.of(place.tree).key
    key.unlink()
    new_key(key, "p256")
    assert "of another key" in identity.certificate(place).wrong


def test_a_key_that_others_may_read(place: Place) -> None:
    key = identities.of(place.tree).key
    key.chmod(0o644)
    found = identity.certificate(place)
    assert (found.state, found.do) == ("fail", f"sudo chmod 600 {key}")


@pytest.mark.parametrize("content", ["", "no PEM", None])
def test_a_certificate_that_is_none(place: Place, content: str | None) -> None:
    path = identities.of(place.tree).certificate
    path.unlink() if content is None else path.write_text(content)
    assert identity.certificate(place).state == "fail"


def test_a_chain_of_strangers(place: Place, tmp_path: Path) -> None:
    """Its first certificate is ours; who should have issued it did not."""
    path = identities.of(place.tree).certificate
    with Fleet(tmp_path / "other", broker=False) as other:
        other.enrol()
        theirs = identities.of(other.tree).certificate.read_text()
    own = path.read_text()
    first, marker, _ = own.partition("-----END CERTIFICATE-----\n")
    path.write_text(first + marker + theirs.partition(marker)[2])
    assert "it cannot be used" in identity.certificate(place).wrong


@pytest.mark.parametrize(
    ("after", "state", "words"),
    [
        (timedelta(days=1), "ok", ""),
        (timedelta(days=9 * 365), "warn", "it ends in 36"),
        (timedelta(days=11 * 365), "fail", "it ended, and it is"),
    ],
)
def test_a_certificate_has_an_end(
    place: Place, *, after: timedelta, state: str, words: str
) -> None:
    (leaf, *_) = load_pem(identities.of(place.tree).certificate.read_text(), "")
    found = identity.judge_life(leaf, now=datetime.now(UTC) + after)
    assert found.state == state
    assert words in found.wrong


def test_a_root_that_is_missing_or_another_fleets(place: Place) -> None:
    rewrite(place, fleet="another")
    assert "the device is of the fleet 'another'" in identity.root(place).wrong
    shutil.rmtree(place.tree.metadata)
    assert identity.root(place).state == "fail"

"""What the director's document says, and whether the journals agree, without believing it again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from littoral import records
from littoral.bundle.manifest import check_sha256
from littoral.trust.beliefs import Assignment
from littoral.wire.journal import Choice, Journal

MAX_DOCUMENT: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a kept document says, read without checking it again: to see if there is work at all."""

    version: int = 0
    manifests: frozenset[str] = frozenset()  # that it names, by sha256


def outline(data: bytes) -> Outline:
    """Return what the document ``data``, which was believed when it was kept, says.

    Raises:
        RecordError: It is no longer what was kept.

    """
    document = records.parse_json(data, limit=MAX_DOCUMENT)
    try:
        signed = document["signed"]
        named = [target["hashes"]["sha256"] for target in signed["targets"].values()]
        return Outline(
            version=int(signed["version"]),
            manifests=frozenset(check_sha256("director", sha256) for sha256 in named),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        raise records.RecordError(f"expected a director document: {e}") from e


def is_newer(data: bytes, other: bytes) -> bool:
    """Whether ``data`` says that it is newer than ``other``; what cannot be read is not."""
    versions = []
    for one in (data, other):
        try:
            versions.append(outline(one).version)
        except records.RecordError:
            versions.append(0)
    return versions[0] > versions[1]


def is_named(choice: Choice | None, one: Assignment) -> bool:
    """Whether ``choice`` is what ``one`` asks for; attempts aside."""
    mine = choice and (choice.manifest, choice.release, choice.hardware)
    return mine == (one.manifest_sha256, one.release, one.hardware)


def settled(journals: Iterable[Journal], named: frozenset[str]) -> bool:
    """Whether all that is ``named``, by sha256, is good, under way or quarantined; and no more."""
    known: set[str] = set()
    for held in journals:
        chosen = held.candidate or held.good
        if chosen is not None and chosen.manifest not in named:
            return False
        known |= {chosen.manifest} if chosen else set()
        known |= held.quarantine.keys()
    return known >= named

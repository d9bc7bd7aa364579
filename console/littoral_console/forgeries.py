"""Which metadata in a repository nobody has signed who ever might. It reads, and moves nothing.

Root, targets and the models' metadata are signed elsewhere. Whoever broke into the console can
lay a version of them here that no device believes; it must not stand in the way of the honest
one. What was once signed by those whom a root or targets held here trusted is no forgery,
whatever it says: it is never changed, only followed by a greater version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from littoral.errors import BundleError, TrustError
from littoral.trust import rules
from littoral.trust.metadata import CAPS, parse, verify
from littoral.trust.repository import Repository

_OURS: Final = (Snapshot.type, Timestamp.type)  # the console signs those, and signs them anew


@dataclass(frozen=True, slots=True)
class Genuine(Repository):
    """A repository without what is forged in it."""

    forged: frozenset[str]  # names as metadata/7.targets.json

    def versions(self) -> dict[str, list[int]]:
        """Return the versions of what is signed."""
        every = Repository.versions(self)
        kept = {
            role: [number for number in numbers if name(role, number) not in self.forged]
            for role, numbers in every.items()
        }
        return {role: numbers for role, numbers in kept.items() if numbers}


def genuine(held: Repository) -> Genuine:
    """Return ``held`` without its forgeries."""
    return Genuine(held.folder, forged(held))


def forged(held: Repository) -> frozenset[str]:
    """Return the names of the metadata that stands here and is nobody's.

    Of each role all that lies above the newest genuine version, which hides what is below.
    """
    versions = held.versions()
    chain = roots(held)
    numbers = versions.pop(Root.type, [])
    found = {name(Root.type, number) for number in numbers[len(chain) :]}
    targets: list[Targets] = []
    for number in versions.get(Targets.type, []):
        metadata = _read(held, Targets.type, number)
        if metadata is not None and _signed(metadata, Targets.type, by=chain):
            targets.append(metadata.signed)
    for role, there in versions.items():
        if role in _OURS:
            continue
        by: Sequence[Root | Targets] = chain if role == Targets.type else targets
        for number in reversed(there):
            metadata = _read(held, role, number)
            if metadata is not None and _signed(metadata, role, by=by):
                break
            found.add(name(role, number))
    return frozenset(found)


def roots(held: Repository) -> tuple[Root, ...]:
    """Return the roots, first to newest, as far as each is signed by the one before it."""
    numbers = held.versions().get(Root.type, [])
    chain: list[Root] = []
    for number in numbers:
        data = held.path(Root.type, number).read_bytes()
        try:
            believed = rules.next_root(data, held=chain[-1]) if chain else rules.held_root(data)
        except (TrustError, BundleError):
            if not chain:
                raise
            break
        chain.append(believed.signed)
    return tuple(chain)


def name(role: str, number: int) -> str:
    """Return what a repository calls the file of that version."""
    return f"metadata/{number}.{role}.json"


def _read(held: Repository, role: str, number: int) -> Metadata[Targets] | None:
    """Return what stands there, None when it is not what it is called."""
    with held.path(role, number).open("rb") as file:
        data = file.read(CAPS[Targets.type] + 1)
    try:
        found = parse(Targets, data, role)
    except (TrustError, BundleError):
        return None
    return found if found.signed.version == number else None


def _signed(metadata: Metadata[Targets], role: str, *, by: Sequence[Root | Targets]) -> bool:
    for delegator in by:
        try:
            verify(delegator, role, metadata)
        except (TrustError, BundleError):
            continue
        return True
    return False

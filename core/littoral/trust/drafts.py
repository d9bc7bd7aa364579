"""A version that several people sign, each on a machine of their own: one file that travels.

A draft carries the metadata to be signed, the version that it takes the place of, and who may
sign it; so a machine without the repository, and without a network, can show all that is
said, and add a signature. It may travel from one to the next, or to all at once: signatures
on copies of it are merged. Nothing here writes into a repository (littoral.trust.ceremony does).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Key, Signature, Signer
from tuf.api.metadata import Metadata, Root, Signed, Targets

from littoral import durable, records
from littoral.bundle.manifest import check_id
from littoral.errors import MalformedError, MisuseError, MixError, UnsupportedFormatError
from littoral.trust.metadata import CAPS, canonical, parse

FORMAT: Final = 1
SUFFIX: Final = ".draft.json"
MAX_BYTES: Final = 3 * CAPS["targets"]
OWNER: Final = "x-owner"  # of a key, as people call whoever holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many of whose keys must sign, and which of them have."""

    whose: str
    threshold: int
    signed: dict[str, Key]
    unsigned: dict[str, Key]

    @property
    def missing(self) -> int:
        different = {records.to_json(key.keyval) for key in self.signed.values()}
        return max(0, self.threshold - len(different))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The next version of ``role``; ``before`` is the one it follows, ``by`` names its keys."""

    role: str
    before: Metadata[Any] | None
    by: Metadata[Any] | None  # None for root, which names its own
    metadata: Metadata[Any]

    @property
    def name(self) -> str:
        return f"{self.role}-{self.metadata.signed.version}{SUFFIX}"

    @property
    def quorums(self) -> tuple[Quorum, ...]:
        """Who must sign: of a root the keys that it names, and those that the held one names."""
        if self.by is not None:
            return (_quorum(self.by.signed, self.role, self.metadata),)
        new = _quorum(self.metadata.signed, Root.type, self.metadata)
        if self.before is None:
            return (new,)
        return (_quorum(self.before.signed, Root.type, self.metadata), new)

    @property
    def is_complete(self) -> bool:
        return not any(quorum.missing for quorum in self.quorums)

    @property
    def verified(self) -> dict[str, Signature]:
        """Return the signatures that hold, by key id."""
        good = {keyid for quorum in self.quorums for keyid in quorum.signed}
        return {i: found for i, found in self.metadata.signatures.items() if i in good}

    def wants(self, keyid: str) -> bool:
        """Whether the signature of that key counts here."""
        return any(keyid in {**q.signed, **q.unsigned} for q in self.quorums)

    def signed_by(self, signer: Signer) -> "Draft":
        """Return the draft with one more signature.

        Raises:
            MisuseError: Nobody asks for the signature of this key.

        """
        keyid = signer.public_key.keyid
        if not self.wants(keyid):
            asked = {i: k for q in self.quorums for i, k in {**q.signed, **q.unsigned}.items()}
            raise MisuseError(
                f"{self.name}: key {keyid[:12]} does not sign this; those that do are: "
                f"{', '.join(called(key) for key in asked.values())}"
            )
        metadata = Metadata(self.metadata.signed, dict(self.metadata.signatures))
        metadata.sign(signer, append=True)
        return replace(self, metadata=metadata)


def called(key: Key) -> str:
    """Return how people call a key: its owner and the beginning of its id."""
    owner = str(key.unrecognized_fields.get(OWNER, ""))
    return f"{owner} {key.keyid[:12]}" if owner.isprintable() and owner else key.keyid[:12]


def merge(drafts: Iterable[Draft]) -> tuple[Draft, ...]:
    """Return one draft a role, with all signatures that copies of it have.

    Raises:
        MixError: Two that differ in what is signed claim the same role.

    """
    merged: dict[str, Draft] = {}
    for draft in drafts:
        held = merged.setdefault(draft.role, draft)
        if canonical(held.metadata, held.name) != canonical(draft.metadata, draft.name):
            raise MixError(
                f"{draft.name}: two drafts of {draft.role} say different things; "
                "sign copies of one of them"
            )
        # A signature that does not verify never takes the place of one that does.
        either = {**draft.metadata.signatures, **held.metadata.signatures}
        signatures = {**either, **draft.verified, **held.verified}
        merged[draft.role] = replace(held, metadata=Metadata(held.metadata.signed, signatures))
    return tuple(merged.values())


def save(folder: Path, draft: Draft) -> Path:
    """Write ``draft`` into ``folder`` under its own name; return where."""
    durable.make_folder(folder)
    path = folder / draft.name
    write(path, draft)
    return path


def write(path: Path, draft: Draft) -> None:
    parts = {"before": draft.before, "by": draft.by, "metadata": draft.metadata}
    value = {"format": FORMAT, "role": draft.role}
    value |= {name: part.to_dict() for name, part in parts.items() if part is not None}
    durable.replace(path, records.to_json(value), mode=0o644)


def load(path: Path) -> Draft:
    """Return the draft in ``path``.

    Raises:
        MisuseError: There is no such file.
        MalformedError, UnsupportedFormatError: It is no draft that this version can read.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise MisuseError(f"{path}: expected a draft: {e.strerror}") from e
    try:
        value = records.parse_json(data, limit=MAX_BYTES)
        found = records.fill(_File, value)
    except records.RecordError as e:
        raise MalformedError(f"{path}: expected a draft of littoral repo draft: {e}") from e
    if found.format != FORMAT:
        raise UnsupportedFormatError(str(path), found=found.format, known=FORMAT)
    if found.role not in {Root.type, Targets.type}:
        _check_model(found.role, path)
    kind = Root if found.role == Root.type else Targets
    draft = Draft(
        role=found.role,
        before=_part(found.before, kind, path),
        by=_part(found.by, Root if found.role == Targets.type else Targets, path),
        metadata=_whole(found.metadata, kind, path),
    )
    if (draft.by is None) != (found.role == Root.type):
        raise MalformedError(f"{path}: expected root to name its own keys, and nobody else")
    return draft


def find(paths: Iterable[Path]) -> list[Path]:
    """Return the files of drafts that ``paths`` are, or that lie in the folders they are.

    Raises:
        MisuseError: There are none.

    """
    found = [
        file
        for path in paths
        for file in (sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path])
    ]
    if not found:
        raise MisuseError(f"expected drafts (*{SUFFIX}), found none; run: littoral repo draft")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    format: int
    role: str
    metadata: dict[str, Any]
    before: dict[str, Any] | None = None
    by: dict[str, Any] | None = None


def _check_model(role: str, path: Path) -> None:
    try:
        check_id("role", role)  # it becomes part of a file's name
    except ValueError as e:
        raise MalformedError(f"{path}: {e}") from e


def _part(value: dict[str, Any] | None, kind: type[Signed], path: Path) -> Metadata[Any] | None:
    return None if value is None else _whole(value, kind, path)


def _whole(value: dict[str, Any], kind: type[Signed], path: Path) -> Metadata[Any]:
    return parse(kind, records.to_json(value), str(path))


def _quorum(by: Root | Targets, role: str, metadata: Metadata[Any]) -> Quorum:
    try:
        found = by.get_verification_result(role, canonical(metadata, role), metadata.signatures)
    except ValueError as e:
        raise MisuseError(f"{role}: {by.type} {by.version} does not say who signs it") from e
    return Quorum(
        whose=f"{by.type} {by.version}",
        threshold=found.threshold,
        signed=found.signed,
        unsigned=found.unsigned,
    )

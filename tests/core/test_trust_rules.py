"""The numbered rules on values alone, and the order in which roles are asked."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from littoral.errors import (
    EndlessError,
    ExpiredError,
    ForgottenError,
    HashError,
    MalformedError,
    MixError,
    RollbackError,
    SignatureError,
)
from littoral.trust import rules
from littoral.trust.client import Client, bootstrap

NOW = datetime(2027, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
KEYS = [CryptoSigner.generate_ed25519() for _ in range(4)]


def signed(what: Signed, by: Sequence[CryptoSigner] = KEYS[:1]) -> bytes:
    metadata: Metadata[Any] = Metadata(what)
    for signer in by:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def a_root(
    version: int = 1, *, keys: Sequence[CryptoSigner] = KEYS[:1], threshold: int = 1
) -> Root:
    root = Root(version=version, expires=LATER)
    for signer in keys:
        root.add_key(signer.public_key, "root")
    root.roles["root"].threshold = threshold
    for role in ("timestamp", "snapshot", "targets"):
        root.add_key(KEYS[0].public_key, role)
    return root


def held(what: Any) -> rules.Believed[Any]:
    return rules.Believed(what, signed(what), frozenset())


def named(data: bytes, version: int) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


# (1) (2) (3) roots


def test_a_first_root_agrees_with_itself() -> None:
    root = a_root(keys=KEYS[:2], threshold=2)
    assert rules.held_root(signed(root, KEYS[:2])).keyids == frozenset(root.roles["root"].keyids)
    for too_few in (KEYS[:1], KEYS[2:], []):
        with pytest.raises(SignatureError):
            rules.held_root(signed(root, too_few))


def test_a_new_root_is_signed_by_the_old_and_by_itself() -> None:
    old, new = a_root(1, keys=KEYS[:1]), a_root(2, keys=KEYS[1:2])
    assert rules.next_root(signed(new, KEYS[:2]), held=old).signed.version == 2
    for one in (KEYS[:1], KEYS[1:2]):
        with pytest.raises(SignatureError):
            rules.next_root(signed(new, one), held=old)


@pytest.mark.parametrize(
    ("version", "error"),
    [(1, RollbackError), (4, RollbackError), (5, RollbackError), (7, MixError)],
)
def test_a_new_root_is_the_next_one(version: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        rules.next_root(signed(a_root(version)), held=a_root(5))


def test_a_key_counts_once_whatever_it_is_called() -> None:
    """One holder with one key under two ids is not two of two."""
    root = a_root(keys=KEYS[:1], threshold=2)
    twin = CryptoSigner(KEYS[0]._private_key)
    twin.public_key.keyid = "another"
    root.add_key(twin.public_key, "root")
    with pytest.raises(SignatureError, match="found 1"):
        rules.held_root(signed(root, [KEYS[0], twin]))


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_root_that_takes_an_online_key_makes_forget(role: str) -> None:
    old, same, new = a_root(), a_root(2), a_root(2)
    new.revoke_key(KEYS[0].public_key.keyid, role)
    new.add_key(KEYS[1].public_key, role)
    assert rules.forgets(new, old=old)
    assert not rules.forgets(same, old=old)


# (4) (5) timestamp


def a_timestamp(version: int, snapshot: int, *, expires: datetime = LATER) -> Timestamp:
    return Timestamp(version=version, expires=expires, snapshot_meta=MetaFile(snapshot))


@pytest.mark.parametrize(
    ("version", "snapshot", "error"),
    [(3, 3, None), (3, 2, None), (2, 9, None), (1, 3, RollbackError), (3, 1, RollbackError)],
)
def test_a_timestamp_never_goes_back(
    version: int, snapshot: int, error: type[Exception] | None
) -> None:
    before = held(a_timestamp(2, 2))
    data = signed(a_timestamp(version, snapshot))
    if error:
        with pytest.raises(error):
            rules.accept_timestamp(data, root=a_root(), held=before, now=NOW)
    else:
        found = rules.accept_timestamp(data, root=a_root(), held=before, now=NOW)
        assert (found is before) is (version == 2)


def test_metadata_ends_when_it_says_so() -> None:
    data = signed(a_timestamp(1, 1, expires=NOW))
    with pytest.raises(ExpiredError):
        rules.accept_timestamp(data, root=a_root(), held=None, now=NOW)
    just_before = NOW - timedelta(seconds=1)
    rules.accept_timestamp(data, root=a_root(), held=None, now=just_before)


# (6) snapshot


def accept_snapshot(new: Snapshot, *, before: Snapshot | None = None, **stated: Any) -> Snapshot:
    data = signed(new)
    timestamp = a_timestamp(1, 1)
    timestamp.snapshot_meta = MetaFile(**{"version": new.version, **stated})
    return rules.accept_snapshot(
        data,
        root=a_root(),
        timestamp=timestamp,
        held=held(before) if before else None,
        now=NOW,
    ).signed


def a_snapshot(version: int = 5, **meta: int) -> Snapshot:
    files = {f"{name}.json": MetaFile(n) for name, n in meta.items()}
    return Snapshot(version=version, expires=LATER, meta=files)


def test_no_role_goes_back_or_vanishes_from_a_snapshot() -> None:
    before = a_snapshot(targets=2, digits=7)
    accept_snapshot(a_snapshot(6, targets=2, digits=8, birds=1), before=before)
    for after in (a_snapshot(6, targets=1, digits=7), a_snapshot(6, targets=2)):
        with pytest.raises(RollbackError):
            accept_snapshot(after, before=before)


def test_a_snapshot_is_the_one_that_the_timestamp_names() -> None:
    new = a_snapshot(targets=1)
    accept_snapshot(new, length=len(signed(new)))
    with pytest.raises(MixError):
        accept_snapshot(new, version=6)
    with pytest.raises(HashError):
        accept_snapshot(new, length=5)
    with pytest.raises(HashError):
        accept_snapshot(new, hashes={"sha512": "0" * 128})
    with pytest.raises(MalformedError, match="md5"):
        accept_snapshot(new, hashes={"md5": "0" * 32})


def test_a_snapshot_ends_too() -> None:
    new = a_snapshot(targets=1)
    new.expires = NOW
    with pytest.raises(ExpiredError):
        accept_snapshot(new)


# (7) targets


def test_targets_are_the_ones_that_the_snapshot_names() -> None:
    new = Targets(version=3, expires=LATER)

    def accept(snapshot: Snapshot, by: Sequence[CryptoSigner] = KEYS[:1]) -> None:
        rules.accept_targets(
            signed(new, by), role="targets", delegator=a_root(), snapshot=snapshot, now=NOW
        )

    accept(a_snapshot(targets=3))
    with pytest.raises(MixError, match="expected version 4"):
        accept(a_snapshot(targets=4))
    with pytest.raises(MixError, match="not in snapshot"):
        accept(a_snapshot(other=3))
    with pytest.raises(SignatureError):
        accept(a_snapshot(targets=3), by=KEYS[1:2])


def test_a_role_that_nobody_delegates_has_no_signers() -> None:
    for delegator in (Targets(), Targets(delegations=Delegations({}, roles={}))):
        with pytest.raises(SignatureError, match="nobody may sign"):
            rules.accept_targets(
                signed(Targets(version=1, expires=LATER)),
                role="digits",
                delegator=delegator,
                snapshot=a_snapshot(digits=1),
                now=NOW,
            )


@pytest.mark.parametrize("name", [None, True, 7, "", [], "x" * 65])
def test_a_role_is_called_by_a_name_that_a_file_can_have(name: Any) -> None:
    key = KEYS[0].public_key
    role = DelegatedRole("digits", [key.keyid], 1, terminating=True, paths=["bundles/digits/*/*"])
    delegator = Targets(delegations=Delegations({key.keyid: key}, roles={"digits": role}))
    role.name = name
    with pytest.raises(MalformedError, match="no role's name"):
        rules.delegates(delegator, "bundles/digits/1/manifest.json")


# (8) sizes


def test_the_cap_holds_whatever_length_is_signed() -> None:
    assert rules.limit(Timestamp, "timestamp") == 16_384
    assert rules.limit(Snapshot, "snapshot", named=MetaFile(1)) == 2_000_000
    assert rules.limit(Targets, "digits", named=MetaFile(1, 700)) == 700
    with pytest.raises(EndlessError):
        rules.limit(Targets, "digits", named=MetaFile(1, 5_000_001))
    with pytest.raises(EndlessError):
        rules.held_root(b" " * 512_001)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1"},
        {"version": True},
        {"version": 0},
        {"version": 1.0},
        {"expires": "soon"},
        {"expires": "2027-06-01"},
        {"spec_version": "2.0"},
        {"_type": "snapshot"},
        {"_type": "nonsense"},
        {"meta": {}},
        {"meta": []},
        {"x": 0.5},
        {"x": "\ud800"},
    ],
)
def test_what_is_not_metadata_of_its_kind_is_malformed(change: dict[str, Any]) -> None:
    value = json.loads(signed(a_timestamp(1, 1)))
    value["signed"].update(change)
    with pytest.raises(MalformedError):
        rules.accept_timestamp(json.dumps(value).encode(), root=a_root(), held=None, now=NOW)


def test_two_signatures_of_one_key_id_are_malformed() -> None:
    value = json.loads(signed(a_timestamp(1, 1)))
    value["signatures"] *= 2
    with pytest.raises(MalformedError):
        rules.accept_timestamp(json.dumps(value).encode(), root=a_root(), held=None, now=NOW)


# (9) delegations


class Repository:
    """Roles in memory, as the client asks for them; ``asked`` says in which order."""

    def __init__(self, folder: Path, roles: dict[str, Targets]) -> None:
        self.files: dict[str, bytes] = {}
        meta = {}
        for name, targets in roles.items():
            targets.expires = LATER
            data = signed(targets)
            meta[f"{name}.json"] = named(data, targets.version)
            self.files[f"metadata/{targets.version}.{name}.json"] = data
        snapshot = signed(Snapshot(version=1, expires=LATER, meta=meta))
        timestamp = Timestamp(version=1, expires=LATER, snapshot_meta=named(snapshot, 1))
        self.files["metadata/1.snapshot.json"] = snapshot
        self.files["metadata/timestamp.json"] = signed(timestamp)
        self.asked: list[str] = []
        bootstrap(folder, signed(a_root()))
        self.client = Client(folder, self.fetch, now=NOW)
        self.client.refresh()
        self.asked.clear()

    def fetch(self, name: str, *, limit: int) -> bytes:
        self.asked.append(name.removeprefix("metadata/1.").removesuffix(".json"))
        data = self.files.get(name)
        if data is None:
            raise ForgottenError(name)
        assert len(data) <= limit
        return data


def delegating(*roles: tuple[str, str, bool], **targets: bytes) -> Targets:
    key = KEYS[0].public_key
    made = {
        name: DelegatedRole(name, [key.keyid], 1, terminating=ends, paths=[pattern])
        for name, pattern, ends in roles
    }
    found = {path: TargetFile.from_data(path, data) for path, data in targets.items()}
    delegations = Delegations({key.keyid: key}, roles=made) if made else None
    return Targets(version=1, targets=found, delegations=delegations)


def test_roles_are_asked_depth_first_in_the_order_that_is_signed(tmp_path: Path) -> None:
    repo = Repository(
        tmp_path,
        {
            "targets": delegating(("a", "*", False), ("b", "*", False)),
            "a": delegating(("c", "*", False), ("d", "x*", False)),
            "b": delegating(file=b"by b"),
            "c": delegating(),
            "d": delegating(),
        },
    )
    found = repo.client.lookup("file")
    assert found is not None
    assert found[1] == "b"
    assert repo.asked == ["a", "c", "b"]


def test_a_terminating_role_has_the_last_word(tmp_path: Path) -> None:
    repo = Repository(
        tmp_path,
        {
            "targets": delegating(("a", "*", True), ("b", "*", False)),
            "a": delegating(),
            "b": delegating(file=b"by b"),
        },
    )
    assert repo.client.lookup("file") is None
    assert repo.asked == ["a"]


def test_a_terminating_role_ends_the_search_of_those_above_it_too(tmp_path: Path) -> None:
    repo = Repository(
        tmp_path,
        {
            "targets": delegating(("a", "*", False), ("b", "*", False)),
            "a": delegating(("c", "*", True)),
            "b": delegating(file=b"by b"),
            "c": delegating(),
        },
    )
    assert repo.client.lookup("file") is None
    assert repo.asked == ["a", "c"]


def test_roles_that_delegate_in_a_circle_are_asked_once(tmp_path: Path) -> None:
    repo = Repository(
        tmp_path,
        {
            "targets": delegating(("a", "*", False)),
            "a": delegating(("b", "*", False)),
            "b": delegating(("a", "*", False)),
        },
    )
    assert repo.client.lookup("file") is None
    assert repo.asked == ["a", "b"]


def test_delegations_are_not_followed_for_ever(tmp_path: Path) -> None:
    chain = {f"r{n}": delegating((f"r{n + 1}", "*", False)) for n in range(50)}
    repo = Repository(
        tmp_path,
        {"targets": delegating(("r0", "*", False)), **chain, "r50": delegating(file=b"deep")},
    )
    assert repo.client.lookup("file") is None
    assert len(repo.asked) == rules.MAX_DELEGATIONS


def test_a_role_is_believed_by_each_delegator_for_itself(tmp_path: Path) -> None:
    """What is held of a role was signed for one delegator; another trusts another key."""
    honest = delegating(("a", "*", False), ("b", "*", False))
    other = delegating(("shared", "*", False))
    assert other.delegations is not None
    other.delegations.keys = {k.keyid: k for k in (KEYS[1].public_key,)}
    assert other.delegations.roles is not None
    other.delegations.roles["shared"].keyids = [KEYS[1].public_key.keyid]
    repo = Repository(
        tmp_path,
        {
            "targets": honest,
            "a": delegating(("shared", "y*", False)),
            "b": other,
            "shared": delegating(yes=b"1", file=b"2"),
        },
    )
    assert repo.client.lookup("yes") is not None
    with pytest.raises(SignatureError):
        repo.client.lookup("file")


def test_succinct_bins_are_asked_by_the_hash_of_the_path(tmp_path: Path) -> None:
    key = KEYS[0].public_key
    bins = SuccinctRoles([key.keyid], 1, 4, "bin")
    top = Targets(version=1, delegations=Delegations({key.keyid: key}, succinct_roles=bins))
    roles = {name: delegating() for name in bins.get_roles()}
    home = bins.get_role_for_target("file")
    roles[home] = delegating(file=b"in its bin")
    repo = Repository(tmp_path, {"targets": top, **roles})
    found = repo.client.lookup("file")
    assert found is not None
    assert found[1] == home
    assert repo.asked == [home]


def test_a_delegation_to_the_top_level_is_malformed() -> None:
    for name in ("root", "timestamp", "snapshot", "targets"):
        value = json.loads(signed(delegating(("a", "*", False))))
        value["signed"]["delegations"]["roles"][0]["name"] = name
        with pytest.raises(MalformedError):
            rules.accept_targets(
                json.dumps(value).encode(),
                role="targets",
                delegator=a_root(),
                snapshot=a_snapshot(targets=1),
                now=NOW,
            )


# (10) (11) (12) our own fields


@pytest.mark.parametrize("floors", [[], {"digits": "7"}, {"digits": 1.5}, {"digits": None}, 7])
def test_a_floor_that_is_no_number_is_malformed(floors: Any) -> None:
    targets = Targets(unrecognized_fields={"x-floors": floors})
    with pytest.raises(MalformedError):
        rules.floor(targets, "digits")


def test_a_floor_that_is_not_stated_is_zero() -> None:
    assert rules.floor(Targets(), "digits") == 0
    assert rules.floor(Targets(unrecognized_fields={"x-floors": {"digits": 3}}), "digits") == 3


def test_root_names_whom_else_to_believe() -> None:
    key = KEYS[1].public_key
    field: dict[str, Any] = {
        "fleet": "shore",
        "director": {key.keyid: key.to_dict()},
        "time": {},
        "device_ca_sha256": "0" * 64,
    }
    root = a_root()
    root.unrecognized_fields["x-littoral"] = field
    assert rules.anchors(root).director == {key.keyid: key}
    changes: tuple[dict[str, Any], ...] = (
        {"device_ca_sha256": "0"},
        {"director": {"k": {}}},
        {"director": []},
        {"fleet": 1},
        {"extra": 1},
    )
    for change in changes:
        root.unrecognized_fields["x-littoral"] = {**field, **change}
        with pytest.raises(MalformedError):
            rules.anchors(root)
    with pytest.raises(MalformedError):
        rules.anchors(a_root())


def test_when_it_was_signed_is_a_claim_within_its_own_life() -> None:
    for text, when in (
        ("2027-05-01T00:00:00Z", datetime(2027, 5, 1, tzinfo=UTC)),
        ("2100-01-01T00:00:00Z", None),
        ("yesterday", None),
        (7, None),
    ):
        timestamp = a_timestamp(1, 1)
        timestamp.unrecognized_fields["x-issued"] = text
        assert rules.issued(timestamp) == when
    assert rules.issued(a_timestamp(1, 1)) is None

"""Devices that slept for years, publishers that publish meanwhile, and thresholds of every role."""

from collections.abc import Callable
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
    Targets,
    Timestamp,
)

from littoral.errors import ExpiredError, ForgottenError, SignatureError
from littoral.trust import rules, writer
from littoral.trust.client import Client, bootstrap
from littoral.trust.keyfiles import load_signer
from simulators.repository import RepositorySimulator

NOW = datetime(2027, 6, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
KEYS = [CryptoSigner.generate_ed25519() for _ in range(2)]
DIGITS = "bundles/digits/{}/manifest.json"


def sign(what: Signed, *by: CryptoSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(what)
    for signer in by:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def test_who_slept_for_years_follows_roots_whose_time_is_over_to_the_last(tmp_path: Path) -> None:
    """None of the keys that it knows is trusted any more; each root says who comes next."""
    with RepositorySimulator(tmp_path / "publisher", now=NOW - 12 * YEAR) as repo:
        bootstrap(tmp_path / "device", repo.root)
        first = set(Metadata[Root].from_bytes(repo.root).signed.keys)
        for n in (1, 2, 3):
            repo.now += 3 * YEAR
            lost = load_signer(repo.offline / f"root-{n}.pem").public_key.keyid
            writer.rotate(repo.folder, "root", offline=repo.offline, key=lost, now=repo.now)
        for role in ("timestamp", "snapshot", "targets"):
            writer.rotate(repo.folder, role, offline=repo.offline, online=repo.online, now=repo.now)
        repo.publish(repo.bundle("digits", 1))
        client = Client(tmp_path / "device", repo.fetch, now=repo.now)
        client.refresh()
        assert client.lookup(DIGITS.format(1)) is not None
        assert not first & {k for role in client.root.roles.values() for k in role.keyids}
        with pytest.raises(ExpiredError, match="root"):
            Client(tmp_path / "device", repo.fetch, now=repo.now + 3 * YEAR).refresh()


def test_a_repository_that_never_runs_out_of_roots_does_not_keep_a_device_for_ever(
    tmp_path: Path,
) -> None:
    asked = 0

    def roots(name: str, *, limit: int) -> bytes:
        nonlocal asked
        version, _, role = name.removeprefix("metadata/").partition(".")
        if role != "root.json":
            raise ForgottenError(f"{name} (at most {limit} bytes)")
        asked += 1
        return sign(_root(int(version)), KEYS[0])

    bootstrap(tmp_path / "device", sign(_root(1), KEYS[0]))
    with pytest.raises(ForgottenError, match="timestamp"):
        Client(tmp_path / "device", roots, now=NOW).refresh()
    assert asked == rules.MAX_ROOTS
    assert Client(tmp_path / "device", roots, now=NOW).root.version == rules.MAX_ROOTS + 1


def test_what_is_published_meanwhile_is_not_mixed_in(tmp_path: Path) -> None:
    """Consistent snapshots: each file is asked for under the version that was named."""
    with RepositorySimulator(tmp_path / "publisher") as repo:
        repo.publish(repo.bundle("digits", 1))
        bootstrap(tmp_path / "device", repo.root)
        releases = iter((2, 3, 4))

        def busy(name: str, *, limit: int) -> bytes:
            data = repo.fetch(name, limit=limit)
            if "root" not in name and (release := next(releases, None)):
                repo.publish(repo.bundle("digits", release))
            return data

        client = Client(tmp_path / "device", busy, now=repo.now)
        client.refresh()
        assert client.lookup(DIGITS.format(1)) is not None
        assert client.lookup(DIGITS.format(2)) is None
        later = Client(tmp_path / "device", repo.fetch, now=repo.now)
        later.refresh()
        assert later.lookup(DIGITS.format(4)) is not None


def _root(version: int = 1, *, threshold: int = 1) -> Root:
    root = Root(version=version, expires=NOW + YEAR)
    for role in root.roles:
        for key in KEYS[:threshold]:
            root.add_key(key.public_key, role)
        root.roles[role].threshold = threshold
    return root


def _timestamp(*by: CryptoSigner) -> None:
    data = sign(Timestamp(expires=NOW + YEAR), *by)
    rules.accept_timestamp(data, root=_root(threshold=2), held=None, now=NOW)


def _snapshot(*by: CryptoSigner) -> None:
    data = sign(Snapshot(expires=NOW + YEAR), *by)
    timestamp = Timestamp(snapshot_meta=MetaFile(1))
    rules.accept_snapshot(data, root=_root(threshold=2), timestamp=timestamp, held=None, now=NOW)


def _targets(*by: CryptoSigner) -> None:
    data = sign(Targets(expires=NOW + YEAR), *by)
    rules.accept_targets(
        data, role="targets", delegator=_root(threshold=2), snapshot=Snapshot(), now=NOW
    )


def _delegated(*by: CryptoSigner) -> None:
    role = DelegatedRole("digits", [], 2, terminating=True, paths=["bundles/digits/*/*"])
    above = Targets(delegations=Delegations({}, roles={"digits": role}))
    for key in KEYS:
        above.add_key(key.public_key, "digits")
    snapshot = Snapshot(meta={"digits.json": MetaFile(1)})
    data = sign(Targets(expires=NOW + YEAR), *by)
    rules.accept_targets(data, role="digits", delegator=above, snapshot=snapshot, now=NOW)


@pytest.mark.parametrize("accept", [_timestamp, _snapshot, _targets, _delegated])
def test_no_role_is_believed_below_its_threshold(accept: Callable[..., None]) -> None:
    accept(*KEYS)
    for too_few in (KEYS[:1], KEYS[1:], []):
        with pytest.raises(SignatureError, match="by 2 of the keys"):
            accept(*too_few)

"""The first version of a repository, and the keys that it starts with."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from littoral import durable
from littoral.bundle.manifest import check_id
from littoral.errors import MisuseError
from littoral.trust import certificates, rules
from littoral.trust.drafts import Draft
from littoral.trust.identity import digest
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import new_key
from littoral.trust.repository import Repository
from littoral.trust.rotation import ANCHORED, ONLINE
from littoral.trust.signing import ROOT_LIFE, TARGETS_LIFE, stamp, write

ROOT_KEYS: Final = ("root-1", "root-2", "root-3")
TARGETS_KEYS: Final = ("targets-1",)
CONSOLES: Final = (*ONLINE, *ANCHORED)  # whose keys the console holds


def init(
    folder: Path, *, offline: Path, online: Path, fleet: str, now: datetime | None = None
) -> Root:
    """Make keys, where there are none, and a repository that names no model yet.

    Raises:
        MisuseError: A repository is there, or no fleet may be called so.

    """
    repository, now = _nothing(folder), now or datetime.now(UTC)
    _check_fleet(fleet)
    names = (*ROOT_KEYS, *TARGETS_KEYS)
    device_ca = _make_keys(offline, online, names, fleet=fleet, now=now)
    keys = {name: load_signer(offline / f"{name}.pem") for name in names}
    root = _root(
        online,
        {
            Root.type: [keys[name].public_key for name in ROOT_KEYS],
            Targets.type: [keys[name].public_key for name in TARGETS_KEYS],
        },
        fleet=fleet,
        device_ca=device_ca,
        now=now,
    )
    make_folders(repository)
    by = [keys[name] for name in TARGETS_KEYS]
    write(repository, Targets.type, _targets(now), signers=by, now=now)
    by = [keys[name] for name in ROOT_KEYS]
    write(repository, Root.type, Metadata(root), signers=by, now=now)
    return root


def draft(
    folder: Path,
    trusted: Mapping[str, Sequence[Key]],
    *,
    thresholds: Mapping[str, int],
    offline: Path,
    online: Path,
    fleet: str,
    now: datetime | None = None,
) -> tuple[Draft, Draft]:
    """Return the first root and targets, to be signed by whoever holds the ``trusted`` keys.

    Of offline keys only the device CA's is made here. Without a threshold, more than half of
    the keys of a role must sign.

    Raises:
        MisuseError: A repository is there, no fleet may be called so, or a role is left without
            enough keys.

    """
    _nothing(folder)
    _check_fleet(fleet)
    now = now or datetime.now(UTC)
    device_ca = _make_keys(offline, online, (), fleet=fleet, now=now)
    root = Metadata(_root(online, trusted, fleet=fleet, device_ca=device_ca, now=now))
    for role, threshold in thresholds.items():
        if role not in trusted:
            raise MisuseError(f"{role}: its threshold is 1; there are: {', '.join(trusted)}")
        root.signed.roles[role].threshold = threshold
    check_thresholds(root.signed)
    targets = _targets(now)
    for metadata in (root, targets):
        stamp(metadata, now=now)
    return (
        Draft(role=Root.type, before=None, by=None, metadata=root),
        Draft(role=Targets.type, before=None, by=root, metadata=targets),
    )


def check_thresholds(root: Root) -> None:
    """Raise MisuseError if a role cannot be signed: it has too few keys."""
    for name, role in root.roles.items():
        if not 1 <= role.threshold <= len(role.keyids):
            raise MisuseError(
                f"{name}: expected 1 to {len(role.keyids)} signatures, as it has keys, "
                f"found {role.threshold}"
            )


def make_folders(repository: Repository) -> None:
    """Make what a repository consists of. Can be done twice."""
    for below in (repository.metadata, repository.blobs, repository.folder / "targets"):
        durable.make_folder(below, mode=0o755)


def _nothing(folder: Path) -> Repository:
    repository = Repository(folder)
    if (repository.metadata / "root.json").exists():
        raise MisuseError(f"{folder}: a repository is there; name another folder")
    return repository


def _check_fleet(fleet: str) -> None:
    """Before any key is made: the device CA and every certificate bear the name."""
    try:
        check_id("fleet", fleet)
    except ValueError as e:
        raise MisuseError(str(e)) from e


def _root(
    online: Path,
    trusted: Mapping[str, Sequence[Key]],
    *,
    fleet: str,
    device_ca: certificates.Authority,
    now: datetime,
) -> Root:
    console = {name: load_signer(online / f"{name}.pem").public_key for name in CONSOLES}
    root = Root(version=1, expires=now + ROOT_LIFE)
    named = {**trusted, **{role: [console[role]] for role in (Snapshot.type, Timestamp.type)}}
    for role, keys in named.items():
        for key in keys:
            root.add_key(key, role)
        root.roles[role].threshold = len(keys) // 2 + 1
    root.unrecognized_fields[rules.FIELD] = {
        "fleet": fleet,
        **{name: {(k := console[name]).keyid: k.to_dict()} for name in ANCHORED},
        "device_ca_sha256": digest(device_ca.root),
    }
    return root


def _targets(now: datetime) -> Metadata[Targets]:
    return Metadata(Targets(version=1, expires=now + TARGETS_LIFE))


def _make_keys(
    offline: Path, online: Path, names: Iterable[str], *, fleet: str, now: datetime
) -> certificates.Authority:
    """Make what is missing of all keys, 0600 in folders of 0700; return the device CA's root."""
    for folder, stems in ((offline, names), (online, CONSOLES)):
        for stem in stems:
            if not (path := folder / f"{stem}.pem").exists():
                new_key(path)
        durable.make_folder(folder, mode=0o700)
        folder.chmod(0o700)
    device_ca = certificates.new_ca(
        offline / "device-ca.pem",
        offline / "device-ca.crt",
        name=f"{fleet} device CA",
        now=now,
        for_devices=True,
    )
    certificates.new_intermediate(
        online / "device-ca.pem",
        online / "device-ca.crt",
        ca=device_ca,
        name=f"{fleet} device CA, online",
        now=now,
    )
    return device_ca

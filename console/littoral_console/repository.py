"""The image repository that this console owns: a folder that grows by what is believed.

Publishers bring root, targets and releases; the console adds snapshot and timestamp, and
nothing else. First the promise (``adopt.json`` beside the files that were sent), then the
deed, each step safe to do twice: a kill at any moment is followed by the rest of it.
"""

import hashlib
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tuf.api.metadata import Root, Timestamp

from littoral import durable, records
from littoral.errors import MisuseError, MixError, NotFoundError
from littoral.trust import writer
from littoral.trust.beliefs import Anchors
from littoral.trust.repository import Repository
from littoral.trust.rules import anchors
from littoral_console import forgeries, uploads
from littoral_console.admission import Admitted, Overlay, admit
from littoral_console.blobs import Blobs, Folder
from littoral_console.keys import OnlineKeys

RENEW_EVERY: Final = timedelta(days=1)
_ADOPT: Final = "adopt.json"
_SERVED: Final = re.compile(
    r"metadata/(?:root|timestamp|[1-9][0-9]{0,15}\.[a-z0-9-]{1,64})\.json"
    r"|targets/bundles/[a-z0-9-]{1,64}/[1-9][0-9]{0,15}/[0-9a-f]{64}\.manifest\.json"
    r"|blobs/[0-9a-f]{64}"
)
BLOBS: Final = "blobs/"
_PUBLIC: Final = 0o644
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Promise:
    """What an adoption will do: what it moves in, and what forged metadata out, by sha256."""

    names: tuple[str, ...]
    aside: dict[str, str]


class ImageRepository:
    """DATA/repo, DATA/uploads, and wherever its blobs are kept.

    Its methods may be called from any thread but the writer's and the event loop's.
    """

    def __init__(
        self,
        data: Path,
        *,
        keys: OnlineKeys,
        clock: Callable[[], int],
        blobs: Blobs | None = None,
    ) -> None:
        self.folder = data / "repo"
        self._blobs = blobs or Folder(self.folder / "blobs")
        self._uploads = data / "uploads"
        self._aside = data / "set-aside"
        self._keys, self._clock = keys, clock
        self._held = Repository(self.folder)
        self._lock = threading.Lock()
        self._open: dict[str, uploads.Upload] = {}

    @property
    def root(self) -> Root | None:
        """Return the newest root, None before the first upload."""
        chain = forgeries.roots(self._held)
        return chain[-1] if chain else None

    @property
    def anchors(self) -> Anchors:
        """Return whom root names. Raises MisuseError before the first upload."""
        root = self.root
        if root is None:
            raise MisuseError(
                "the console has no repository yet; run: littoral fleet releases upload REPO"
            )
        return anchors(root)

    def root_bytes(self) -> bytes:
        """Return the newest root as devices get it for their first belief."""
        return (self.folder / "metadata" / "root.json").read_bytes()

    def served(self, name: str) -> Path | None:
        """Return what the repository has under ``name`` as a file here, None if it has nothing.

        A link leads nowhere: only regular files that lie in the folder are served. What is kept in
        a bucket is brought here for that: this is for people, who look at little of it.
        """
        if not _SERVED.fullmatch(name):
            return None
        if (sha256 := _blob(name)) is not None:
            return self._blobs.file(sha256)
        path = self.folder.resolve() / name
        try:
            found = path.resolve(strict=True)
        except OSError:
            return None
        return path if found == path and path.is_file() else None

    def lent(self, name: str) -> Path | str | None:
        """Return a file here, or for a blob that is kept elsewhere its address for some minutes."""
        sha256 = _blob(name)
        if sha256 is None or self._blobs.asked(sha256) is None:
            return None if sha256 else self.served(name)
        return self._blobs.url(sha256) or self._blobs.file(sha256)

    def read(self, name: str, *, start: int, length: int) -> tuple[bytes, int] | None:
        """Return a part of the file ``name`` and how long the whole is; None if there is none."""
        if (sha256 := _blob(name)) is not None:
            if (size := self._blobs.asked(sha256)) is None:
                return None
            more = min(length, size - start)
            return (self._blobs.read(sha256, start=start, length=more) if more > 0 else b""), size
        path = self.served(name)
        if path is None:
            return None
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), length, min(start, size)), size

    def begin(self, offers: Sequence[uploads.Offer], *, who: str) -> uploads.Upload:
        """Start an upload; see ``uploads.begin`` for what it refuses."""
        self._expire()
        upload = uploads.begin(
            offers,
            held=forgeries.genuine(self._held),
            blob=self._blobs.size,
            folder=self._uploads,
            who=who,
            now_ms=self._clock(),
        )
        self._open[upload.id] = upload
        return upload

    def upload(self, number: str) -> uploads.Upload:
        """Return the upload that was begun. Raises NotFoundError."""
        try:
            return self._open[number]
        except KeyError:
            raise NotFoundError(
                f"no upload {number[:32]!r} is under way; begin a new one"
            ) from None

    def commit(self, number: str, *, known: dict[tuple[str, int], str]) -> Admitted:
        """Adopt the upload, if all of it is believed, and sign what is here now.

        Raises:
            MisuseError: Something is still missing.
            TrustError, MalformedError: It is not believed; nothing changed.

        """
        upload = self.upload(number)
        if upload.missing:
            raise MisuseError(f"still missing: {', '.join(upload.missing[:3])}")
        with self._lock:
            held = forgeries.genuine(self._held)
            overlay = Overlay(upload.folder, held)

            def blob(sha256: str) -> int | None:
                sent = overlay.blob_size(sha256)
                return self._blobs.size(sha256) if sent is None else sent

            admitted = admit(overlay, keys=self._keys, known=known, now=self._now(), blob=blob)
            before = self.root
            if before is not None and anchors(before).fleet != admitted.anchors.fleet:
                raise MixError(f"root: for the fleet {admitted.anchors.fleet!r}, not this one")
            aside = {forged: digest(self.folder / forged) for forged in sorted(held.forged)}
            promise = _Promise(names=tuple(_worth(upload.wanted, admitted)), aside=aside)
            upload.settle()
            durable.replace(upload.folder / _ADOPT, records.to_json(promise))
            self._adopt(upload.folder)
        self.discard(number)
        return replace(admitted, aside=aside)

    def discard(self, number: str) -> None:
        """Forget an upload. Can be done twice."""
        upload = self._open.pop(number, None)
        if upload is not None:
            upload.discard()

    def recover(self, *, known: dict[tuple[str, int], str]) -> Admitted | None:
        """Finish what a kill left, and return what is here; None before the first upload."""
        with self._lock:
            folders = [f for f in self._uploads.glob("*") if f.name not in self._open]
            aside: dict[str, str] = {}
            for folder in folders:
                if (folder / _ADOPT).exists():
                    aside |= self._adopt(folder)
                shutil.rmtree(folder, ignore_errors=True)
            if self.root is None:
                return None
            aside |= self._expel()
            if self.stale():
                self._renew()
            admitted = admit(
                self._held, keys=self._keys, known=known, now=self._now(), blob=self._blobs.size
            )
            return replace(admitted, aside=aside)

    def expel(self) -> dict[str, str]:
        """Set aside what is forged here now; return its names, and the sha256 of each.

        Raises:
            BundleError, TrustError: Not even the first root can be believed; nothing is moved.

        """
        with self._lock:
            return self._expel()

    def aside(self) -> tuple[str, ...]:
        """Return the names of what was set aside, until somebody takes it away."""
        return tuple(sorted(path.name for path in self._aside.glob("*")))

    def stale(self) -> bool:
        """Return whether the timestamp was signed more than a day ago, or never."""
        found = self._held.newest(Timestamp, Timestamp.type)
        if found is None:
            return True
        signed = found.signed.expires - writer.ONLINE_LIFE
        return self._now() >= signed + RENEW_EVERY

    def renew(self) -> None:
        """Sign snapshot and timestamp anew, if there is something to sign."""
        with self._lock:
            if self.root is not None:
                self._renew()

    def _expel(self) -> dict[str, str]:
        if self.root is None:
            return {}
        found = {name: digest(self.folder / name) for name in forgeries.forged(self._held)}
        for name, sha256 in found.items():
            self._set_aside(name, sha256)
        if found:
            self._name_root()
            self._renew()
        return found

    def _name_root(self) -> None:
        """Serve the newest root under the name by which who knows none asks for it."""
        root = self._held.root()
        newest = self._held.path(Root.type, root.version).read_bytes()
        durable.replace(self.folder / "metadata" / "root.json", newest, mode=_PUBLIC)

    def _renew(self) -> None:
        now = self._now()
        _, version = writer.renew(
            self.folder, online=self._keys.folder, now=now, least=int(now.timestamp())
        )
        _log.info("signed timestamp %d", version)

    def _adopt(self, folder: Path) -> Mapping[str, str]:
        """Move what was promised, what is named before what names it. Can be done twice.

        Returns what was forged here and lies in DATA/set-aside now.
        """
        promise = records.from_json(
            _Promise, (folder / _ADOPT).read_bytes(), limit=uploads.MOST_FILES * 200
        )
        for name, sha256 in promise.aside.items():
            self._set_aside(name, sha256)
        for name in sorted(promise.names, key=_order):
            sent, kept = folder / name, self.folder / name
            if sent.exists() and name.startswith(BLOBS):
                self._blobs.keep(sent, name.removeprefix(BLOBS))
            elif sent.exists():
                durable.make_folder(kept.parent, mode=0o755)
                sent.chmod(_PUBLIC)
                os.replace(sent, kept)  # noqa: PTH105 (as durable does, with the folder synced)
                durable.sync_folder(kept.parent)
        self._name_root()
        self._renew()
        durable.remove(folder / _ADOPT)
        return promise.aside

    def _set_aside(self, name: str, sha256: str) -> None:
        """Keep a forgery for who looks into it. What has other bytes by now is none."""
        path = self.folder / name
        if not path.exists() or digest(path) != sha256:
            return
        durable.make_folder(self._aside, mode=0o700)
        kept = self._aside / f"{path.name}.{sha256[:16]}"
        os.replace(path, kept)  # noqa: PTH105 (as durable does, with the folders synced)
        durable.sync_folder(self._aside)
        durable.sync_folder(path.parent)
        _log.warning("%s was signed by nobody who may; it lies in %s now", name, kept)

    def _expire(self) -> None:
        for upload in list(self._open.values()):
            if upload.started_ms + uploads.LIFE_MS < self._clock():
                self.discard(upload.id)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock() / 1000, UTC)


def digest(path: Path) -> str:
    """Return the sha256 of what lies there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blob(name: str) -> str | None:
    """Return the sha256 of the blob that is called ``name``, None for other files."""
    sha256 = name.removeprefix(BLOBS)
    return sha256 if sha256 != name and _SERVED.fullmatch(name) else None


def _worth(names: Iterable[str], admitted: Admitted) -> list[str]:
    """Return what is worth keeping of ``names``: no blob or manifest that nobody names."""
    manifests = {release.sha256 for release in admitted.releases}
    files = [file for release in admitted.releases for file in release.manifest.files.values()]
    worth = {f"blobs/{blob.sha256}" for file in files for blob in file.blobs}
    return [
        name
        for name in names
        if name in worth
        or name.startswith("metadata/")
        or name.rpartition("/")[2].removesuffix(".manifest.json") in manifests
    ]


def _order(name: str) -> tuple[int, str]:
    folder = name.partition("/")[0]
    if folder != "metadata":
        return (0 if folder == "blobs" else 1), name
    return (4 if name.endswith(".root.json") else 3 if name.endswith(".targets.json") else 2), name

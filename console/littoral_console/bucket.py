"""A bucket of an S3 service as the place of blobs. It knows boto3, and nothing of releases.

Devices fetch from the bucket itself, by addresses that are signed here and soon worth nothing.
What people look at, and what was here before there was a bucket, lies in a folder of this machine.
"""

import base64
import http
import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from littoral.errors import MissingExtraError, SettingsError, StorageError
from littoral_console import blobs
from littoral_console.blobs import Folder

LIFE_S: Final = 600  # of a signed address: of its first byte, however long the rest takes
_CONNECT_S: Final = 5
_READ_S: Final = 15
_TRIES: Final = 2
_REST_S: Final = 10.0  # it is not asked again so soon after it did not answer
_POOL: Final = 16
_GUESSES: Final = 100  # names that are unknown here, and asked for by who knows whom: so many …
_GUESSES_PER_S: Final = 10  # … at once, and so many a second: each is a request that is paid for
_CHUNK_BYTES: Final = 1024 * 1024
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_log = logging.getLogger(__name__)


class Service(Protocol):
    """What of boto3's client for S3 is used here."""

    def put_object(self, **words: object) -> dict[str, Any]: ...
    def get_object(self, **words: object) -> dict[str, Any]: ...
    def head_object(self, **words: object) -> dict[str, Any]: ...
    def list_objects_v2(self, **words: object) -> dict[str, Any]: ...
    def generate_presigned_url(self, operation: str, /, **words: object) -> str: ...


class Bucket:
    """Blobs below ``prefix`` of the bucket ``name``, and ``beside`` it. Threads may share it."""

    def __init__(self, client: Service, name: str, prefix: str, *, beside: Folder) -> None:
        self._client, self._name, self._beside = client, name, beside
        self._prefix = f"{prefix}/blobs/" if prefix else "blobs/"
        self._lock, self._bringing = threading.Lock(), threading.Lock()
        self._known: dict[str, int] | None = None  # what is in a bucket stays as it is
        self._rests_until_s = 0.0
        self._guesses_s = -math.inf  # up to when it was asked for what nobody knows, at its rate

    @classmethod
    def open(cls, name: str, prefix: str, *, beside: Folder) -> Self:
        """Return the bucket ``name``, by the credentials that boto3 finds; it asks nobody yet.

        Raises:
            MissingExtraError: boto3 is not installed.
            SettingsError: What boto3 is told makes no sense, or devices would not go there.

        """
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as e:
            raise MissingExtraError("--blobs s3://…", extra="s3", missing="boto3") from e
        config = Config(
            signature_version="s3v4",
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "max_attempts": _TRIES},
            max_pool_connections=_POOL,
            # What many S3 services do not know; the sha256 of each blob is sent and compared.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            client = boto3.session.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as e:
            raise SettingsError(f"--blobs: s3://{name}: {e}") from e
        at = urlsplit(client.meta.endpoint_url)
        if at.scheme != "https" and at.hostname not in _LOOPBACK:
            raise SettingsError(
                f"--blobs: devices fetch from a bucket over https alone, and its service is at "
                f"{client.meta.endpoint_url}"
            )
        return cls(client, name, prefix, beside=beside)

    def size(self, sha256: str) -> int | None:
        here = self._beside.size(sha256)
        if here is not None:
            return here
        with self._lock:
            if self._known is None:
                self._known = self._list()
            known = self._known.get(sha256)
        return known if known is not None else self._ask(sha256)

    def asked(self, sha256: str) -> int | None:
        with self._lock:
            known = self._known is not None and sha256 in self._known
        if not known and self._beside.size(sha256) is None:
            self._guess(sha256)
        return self.size(sha256)

    def _guess(self, sha256: str) -> None:
        """Let names that nobody knows be asked for now and then. Raises StorageError."""
        with self._lock:
            now = time.monotonic()
            self._guesses_s = max(self._guesses_s, now - _GUESSES / _GUESSES_PER_S)
            if self._guesses_s > now:
                raise StorageError(f"blobs/{sha256}: too many that are unknown were asked for")
            self._guesses_s += 1 / _GUESSES_PER_S

    def keep(self, sent: Path, sha256: str) -> None:
        """Send the file to the bucket, which compares its sha256, and forget it here."""
        size = sent.stat().st_size
        with self._errors(f"sending blobs/{sha256}"), sent.open("rb") as file:
            self._client.put_object(
                Bucket=self._name,
                Key=self._prefix + sha256,
                Body=file,
                ContentLength=size,
                ContentType="application/octet-stream",
                CacheControl="public, max-age=31536000, immutable",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
            )
        self._learn(sha256, size)
        sent.unlink()

    def file(self, sha256: str) -> Path | None:
        with self._bringing:
            here = self._beside.file(sha256)
            if here is not None or self.size(sha256) is None:
                return here
            return blobs.adopt(self._beside, sha256, self._chunks(sha256))

    def url(self, sha256: str) -> str | None:
        if self._beside.file(sha256) is not None:
            return None
        with self._errors(f"signing for blobs/{sha256}"):
            return self._client.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._name, "Key": self._prefix + sha256},
                ExpiresIn=LIFE_S,
            )

    def read(self, sha256: str, *, start: int, length: int) -> bytes:
        if self._beside.file(sha256) is not None:
            return self._beside.read(sha256, start=start, length=length)
        with self._asking(f"reading blobs/{sha256}"):
            found = self._client.get_object(
                Bucket=self._name,
                Key=self._prefix + sha256,
                Range=f"bytes={start}-{start + length - 1}",
            )
            return bytes(found["Body"].read(length))

    def _chunks(self, sha256: str) -> Iterator[bytes]:
        with self._errors(f"reading blobs/{sha256}"):
            found = self._client.get_object(Bucket=self._name, Key=self._prefix + sha256)
            yield from found["Body"].iter_chunks(_CHUNK_BYTES)

    def _list(self) -> dict[str, int]:
        held: dict[str, int] = {}
        more: dict[str, str] = {}
        with self._asking("listing"):
            while True:
                page = self._client.list_objects_v2(Bucket=self._name, Prefix=self._prefix, **more)
                for one in page.get("Contents", ()):
                    held[str(one["Key"]).removeprefix(self._prefix)] = int(one["Size"])
                if not page.get("IsTruncated"):
                    return held
                more = {"ContinuationToken": str(page["NextContinuationToken"])}

    def _ask(self, sha256: str) -> int | None:
        """Ask for one that another console may have sent since."""
        from botocore.exceptions import ClientError

        with self._asking(f"asking for blobs/{sha256}"):
            try:
                found = self._client.head_object(Bucket=self._name, Key=self._prefix + sha256)
            except ClientError as e:
                status = e.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status == http.HTTPStatus.NOT_FOUND:
                    return None
                raise
        return self._learn(sha256, int(found["ContentLength"]))

    def _learn(self, sha256: str, size: int) -> int:
        with self._lock:
            if self._known is not None:
                self._known[sha256] = size
        return size

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        """Ask for what devices wait for, unless nobody answered a moment ago: threads are few."""
        from botocore.exceptions import BotoCoreError

        if time.monotonic() < self._rests_until_s:
            raise StorageError(f"s3://{self._name}: {doing}: it did not answer a moment ago")
        with self._errors(doing):
            try:
                yield
            except BotoCoreError as e:
                self._rests_until_s = time.monotonic() + _REST_S
                _log.warning("s3://%s: %s: %s [%s]", self._name, doing, e, StorageError.code)
                raise

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as e:
            raise StorageError(f"s3://{self._name}: {doing}: {e}") from e

"""In which encodings a file is offered: zstd, and a patch from each older file that helps.

A patch is offered only where it is smaller than zstd, and zstd only where it is smaller than the
file, by more than it takes to name it. Each is decoded again, as a device will, before that.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from littoral.bundle import encodings
from littoral.bundle.frames import PLAIN
from littoral.bundle.manifest import Encoding, EncodingKind, File
from littoral_converter import blocks, patches

# Bytes, about, that naming one takes in the manifest.
NAMED: Final[dict[EncodingKind, int]] = {"zstd": 128, "patch": 256}


@dataclass(frozen=True, slots=True)
class Offer:
    encoding: Encoding
    data: bytes


def offers(file: bytes, bases: Iterable[bytes]) -> Iterator[Offer]:
    """Walk the encodings of ``file``: zstd, then patches in the order of ``bases``."""
    plain = File(sha256=hashlib.sha256(file).hexdigest(), size=len(file))
    least = len(file)
    packed = _offer("zstd", framed(file))
    if _worth(packed, least):
        least = packed.encoding.size
        yield _proven(packed, plain, b"")
    for base in bases:
        patch = _offer("patch", patches.make(base, file), base=hashlib.sha256(base).hexdigest())
        if _worth(patch, least):
            yield _proven(patch, plain, base)


def framed(file: bytes) -> bytes:
    """Return ``file`` in frames, each in its best blocks."""
    return b"".join(blocks.compress(file[at : at + PLAIN]) for at in range(0, len(file), PLAIN))


def _worth(offer: Offer, least: int) -> bool:
    return offer.encoding.size + NAMED[offer.encoding.kind] < least


def _offer(kind: EncodingKind, data: bytes, *, base: str | None = None) -> Offer:
    digest = hashlib.sha256(data).hexdigest()
    return Offer(Encoding(kind=kind, sha256=digest, size=len(data), base=base), data)


def _proven(offer: Offer, plain: File, base: bytes) -> Offer:
    """Return ``offer``. Raises TrustError or BundleError where it does not give the file back."""
    walk = encodings.decode(
        plain,
        offer.encoding,
        io.BytesIO(offer.data).read,
        base=lambda at, size: base[at : at + size],
    )
    for _ in walk:
        pass
    return offer

"""Encodings of files that are no models, honest or not, and bundles that name them.

    offered(bundle, "model.tflite", zstd(new), patch(new, old))    # before it is published

What a publisher makes is smaller, and littoral_converter's; what a device does with it is the same.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from littoral.bundle import adding, frames
from littoral.bundle import patch as patches
from littoral.bundle.manifest import NAME, Encoding, File, Manifest
from littoral.bundle.patch import PIECE, Run, Table, Way


@dataclass(frozen=True, slots=True)
class Made:
    """An encoding, and its bytes."""

    encoding: Encoding
    data: bytes


def made(kind: Literal["zstd", "patch"], data: bytes, *, base: bytes | None = None) -> Made:
    """Return ``data``, whatever it is, as an encoding that is named correctly."""
    digest = None if base is None else sha256(base)
    return Made(Encoding(kind=kind, sha256=sha256(data), size=len(data), base=digest), data)


def zstd(plain: bytes) -> Made:
    return made("zstd", frames.encode(plain))


def patch(plain: bytes, base: bytes, *, of: bytes | None = None) -> Made:
    """Return what makes ``plain`` of ``base``, by differences and what is new behind its end.

    It is said to be of another base, where ``of`` is that.
    """
    data = patches.MAGIC
    for at in range(0, len(plain), PIECE):
        data += _piece(plain[at : at + PIECE], base, at)
    return made("patch", data, base=base if of is None else of)


def _piece(plain: bytes, base: bytes, at: int) -> bytes:
    like = base[at : at + len(plain)]
    runs = [Run(Way.ADD, len(like), at)] if like else []
    new = plain[len(like) :]
    runs += [Run(Way.NEW, len(new))] if new else []
    added = adding.less(plain[: len(like)], like)
    out = frames.compress(Table(tuple(runs)).to_bytes())
    out += frames.compress(added) if added else b""
    return out + (frames.compress(new) if new else b"")


def offered(bundle: Path, name: str, *offers: Made) -> Path:
    """Let the file ``name`` of a bundle travel in each of ``offers``, too."""
    path = bundle / NAME
    manifest = Manifest.from_json(path.read_bytes())
    file = replace(manifest.files[name], encodings=tuple(one.encoding for one in offers))
    path.write_bytes(replace(manifest, files={**manifest.files, name: file}).to_json())
    for one in offers:
        (bundle / one.encoding.sha256).write_bytes(one.data)
    return bundle


def file_of(plain: bytes, *offers: Made) -> File:
    return File(
        sha256=sha256(plain), size=len(plain), encodings=tuple(one.encoding for one in offers)
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

"""Writes a Debian package, byte for byte the same from the same entries, on any machine.

A package is an ``ar`` of three members; the two tars in it are sorted, root owns all of them,
and every time is the one that is given. No program of Debian's is needed.
"""

import hashlib
import io
import lzma
import math
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

# The preset's dictionary is 8 MiB: what a board of 512 MiB unpacks without noticing.
_PRESET: Final = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the package; ``link`` makes it a symbolic one."""

    data: bytes = b""
    mode: int = 0o644
    link: str | None = None


Tree = Mapping[str, Entry]  # by path without the leading slash
_EXECUTABLE: Final = 0o755


def package(control: Tree, files: Tree, *, when: int) -> bytes:
    """Return the package whose control files are ``control``; each time in it is ``when``."""
    control = {**control, "md5sums": Entry(_sums(files))}
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", _compressed(_tar(control, when=when))),
        ("data.tar.xz", _compressed(_tar(files, when=when))),
    )
    return b"!<arch>\n" + b"".join(_member(name, data, when=when) for name, data in members)


def installed_kib(files: Tree) -> int:
    """Return what Installed-Size says: each file in whole KiB, each folder one."""
    sizes = (max(1, math.ceil(len(entry.data) / 1024)) for entry in files.values())
    return sum(sizes) + sum(1 for _ in _folders(files))


def _member(name: str, data: bytes, *, when: int) -> bytes:
    header = f"{name:<16}{when:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
    return header.encode() + data + b"\n" * (len(data) % 2)


def _compressed(data: bytes) -> bytes:
    return lzma.compress(data, check=lzma.CHECK_CRC64, preset=_PRESET)


def _tar(entries: Tree, *, when: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        rows = dict.fromkeys(_folders(entries)) | dict(entries)
        for path in sorted(rows):
            entry = rows[path]
            info = tarfile.TarInfo("./" if path == "." else f"./{path}")
            info.uname = info.gname = "root"
            info.mtime = when
            if entry is None:
                info.type, info.mode = tarfile.DIRTYPE, _EXECUTABLE
                info.name = info.name.rstrip("/") + "/"
                tar.addfile(info)
            elif entry.link is not None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
                tar.addfile(info)
            else:
                info.size, info.mode = len(entry.data), entry.mode
                tar.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def _folders(entries: Tree) -> Iterator[str]:
    yield from sorted({str(above) for path in entries for above in PurePosixPath(path).parents})


def _sums(files: Tree) -> bytes:
    """Return what dpkg --verify compares; configuration is not its business."""
    lines = (
        f"{hashlib.md5(entry.data, usedforsecurity=False).hexdigest()}  {path}\n"
        for path, entry in sorted(files.items())
        if entry.link is None and not path.startswith("etc/")
    )
    return "".join(lines).encode()

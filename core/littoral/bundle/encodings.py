"""How a file's bytes travel, and how the plain ones come back: docs/encodings.md.

What travels was checked against the digest and size of its encoding before it comes here; what
comes out is checked against the file's own, which decides. In between a decoder is bounded: in
memory whatever it reads, in output by the file's size. It is also bounded in what it loads: a
device decodes in a process of its own, which needs none of what reads manifests.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from littoral.bundle import frames, patch
from littoral.errors import HashError, MalformedError

if TYPE_CHECKING:
    from littoral.bundle.manifest import Encoding, EncodingKind, File


def decode(
    file: "File", encoding: "Encoding", read: frames.Read, *, base: patch.Base | None = None
) -> Iterator[bytes]:
    """Walk the plain bytes of ``file``. They are nobody's until the walk has ended well.

    Raises:
        MalformedError: These bytes are no such encoding, or a patch of another base.
        EndlessError: They go on where the file ends.
        HashError: What came out is not the file.

    """
    import hashlib  # 3 MiB, which whoever does not compare need not have

    digest = hashlib.sha256()
    for part in plain(encoding.kind, read, size=file.size, base=base):
        digest.update(part)
        yield part
    if digest.hexdigest() != file.sha256:
        what = f"what came out of {encoding.kind} {encoding.sha256[:12]}…"
        raise HashError(what, signed=file.sha256, found=digest.hexdigest())


def plain(
    kind: "EncodingKind", read: frames.Read, *, size: int, base: patch.Base | None = None
) -> Iterator[bytes]:
    """Walk ``size`` bytes that come out: whose they are, the caller has still to see.

    Raises:
        MalformedError, EndlessError: As ``decode``.

    """
    match kind:
        case "zstd":
            return frames.decode(read, size=size)
        case "patch":
            if base is None:
                raise MalformedError("a patch needs its base")
            return patch.apply(read, base, size=size)

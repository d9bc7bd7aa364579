"""What travels becomes the file again, or nothing: ten thousand hostile ones are tried."""

import hashlib
import io
import random
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from littoral.bundle import adding, encodings, frames, patch
from littoral.bundle.manifest import MAX_FILE_BYTES, Encoding, File
from littoral.bundle.patch import Run, Table, Way
from littoral.errors import BundleError, HashError, MalformedError, TrustError

SEED = random.Random(5)
BASE = SEED.randbytes(3000) + bytes(3000)
PLAIN = BASE[:2000] + bytes((b + SEED.choice((0, 0, 1, 255))) % 256 for b in BASE[2000:4000])
PLAIN += b"words and more words, and more " * 20
FILE = File(sha256=hashlib.sha256(PLAIN).hexdigest(), size=len(PLAIN))
NEW = len(PLAIN) - 4000


def encoding(kind: str, data: bytes) -> Encoding:
    base = hashlib.sha256(BASE).hexdigest() if kind == "patch" else None
    digest = hashlib.sha256(data).hexdigest()
    return Encoding(kind=kind, sha256=digest, size=len(data), base=base)  # type: ignore[arg-type]


def made_patch() -> bytes:
    table = Table(
        (Run(Way.COPY, 2000), Run(Way.ADD, 2000, 2000), Run(Way.NEW, NEW)), ((0, len(BASE)),)
    )
    added = adding.less(PLAIN[2000:4000], BASE[2000:4000])
    new = frames.compress(PLAIN[4000:], BASE)
    return patch.MAGIC + frames.compress(table.to_bytes()) + frames.compress(added) + new


HONEST = {"zstd": frames.encode(PLAIN), "patch": made_patch()}


def decoded(kind: str, data: bytes, file: File = FILE) -> bytes:
    source = io.BytesIO(data)
    return b"".join(
        encodings.decode(
            file, encoding(kind, data), source.read, base=lambda at, size: BASE[at : at + size]
        )
    )


@pytest.mark.parametrize("kind", HONEST)
def test_the_file_comes_back(kind: str) -> None:
    assert decoded(kind, HONEST[kind]) == PLAIN


def test_what_comes_out_is_the_file_or_an_error() -> None:
    other = File(sha256="0" * 64, size=len(PLAIN))
    with pytest.raises(HashError, match="what came out of zstd"):
        decoded("zstd", HONEST["zstd"], other)


def test_a_patch_needs_its_base() -> None:
    data = HONEST["patch"]
    with pytest.raises(MalformedError, match="needs its base"):
        list(encodings.decode(FILE, encoding("patch", data), io.BytesIO(data).read))


def flipped(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def doubled(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    end = rng.randrange(start + 1, len(data) + 1)
    return data[:end] + data[start:]


def left_out(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[rng.randrange(start + 1, len(data) + 1) :]


def filled(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    word = rng.choice((b"\x00", b"\xff", b"\x80", b"\x7f", b"\x01"))
    return data[:start] + word * rng.randrange(1, 9) + data[start + 8 :]


def crossed(data: bytes, rng: random.Random) -> bytes:
    """Put an encoding's beginning before another's end."""
    other = rng.choice(list(HONEST.values()))
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def retabled(_: bytes, rng: random.Random) -> bytes:
    """Write a patch of sound frames whose table says something else."""
    runs = tuple(
        Run(
            rng.choice(tuple(Way)),
            8 * rng.choice((1, 250, 500, NEW // 8, 2**15)),
            rng.choice((0, 2000, 5999, 2**31)),
            rng.choice((1, 2, 4, 8)),
        )
        for _ in range(rng.randrange(1, 5))
    )
    window = ((rng.choice((0, 1, 7000)), rng.choice((1, 6000, 2**20))),)
    table = Table(runs, rng.choice((None, (), window)))
    return patch.MAGIC + frames.compress(table.to_bytes()) + HONEST["patch"][rng.randrange(60) :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flipped,
    cut,
    doubled,
    left_out,
    filled,
    crossed,
    retabled,
)


@pytest.mark.parametrize("kind", HONEST)
def test_no_hostile_encoding_is_accepted_or_costs_much(kind: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng, refused = random.Random(7), 0
    for k in range(5000):
        data = MUTATIONS[k % len(MUTATIONS)](HONEST[kind], rng)
        if rng.random() < 0.3:
            data = rng.choice(MUTATIONS)(data or b"x", rng)
        try:
            assert decoded(kind, data) == PLAIN, data.hex()
        except (BundleError, TrustError):
            refused += 1
    assert refused > 4900
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 8 * 1024, f"{grown} KiB"


def test_a_decoder_loads_little() -> None:
    """A device decodes in a process of its own: what that loads is memory, each time."""
    code = "import sys, littoral.bundle.encodings; print(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"dataclasses", "hashlib", "inspect", "json", "numpy", "littoral.bundle.manifest"}
    assert heavy.isdisjoint(ran.stdout.split())


def test_no_place_is_farther_than_the_longest_file() -> None:
    assert patch._FARTHEST == MAX_FILE_BYTES

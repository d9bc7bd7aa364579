"""What an update weighs: our encodings against zstd, zstd --patch-from and bsdiff, on real pairs.

Pairs: a small and a large network trained anew, by training and nothing else
(``pairs/training.py``, once, for some minutes each, into build/delta), and where
``shared/models/coral`` is there, models of Coral: the same model before and after the Edge TPU's
compiler, and two tasks on one architecture.

What applying costs is measured in processes of their own, from file to file, digest included:
the least of several. A patch is compared with the frames of zstd that would be fetched instead.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import zstandard

from littoral.bundle import encodings
from littoral.bundle.manifest import Encoding, File
from littoral_converter import offers, patches
from littoral_converter.anatomy import arrays
from pairs.trained import trained

ROOT = Path(__file__).parents[1]
CORAL = ROOT.parent / "shared/models/coral"
ROUNDS = 11
NOISE = "4 MB, 5 % noise"
MEASURED = (
    NOISE,
    "large drift-01",
    "large drift-05",
    "large drift-20",
)  # what costs are measured of
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Pair:
    name: str
    base: bytes
    file: bytes


def own(shape: str) -> Iterator[Pair]:
    folder = trained(shape)
    base = (folder / "base.tflite").read_bytes()
    for path in sorted(folder.glob("*.tflite")):
        if path.stem != "base":
            yield Pair(f"{shape} {path.stem}", base, path.read_bytes())


def coral() -> Iterator[Pair]:
    for path in sorted(CORAL.glob("*_edgetpu.tflite")):
        name = path.name.removesuffix("_edgetpu.tflite")
        base = (CORAL / f"{name}.tflite").read_bytes()
        yield Pair(f"edgetpu {name[:24]}", base, path.read_bytes())
    both = [CORAL / f"mobilenet_v2_1.0_224_{task}.tflite" for task in ("inat_bird_quant", "quant")]
    if all(path.exists() for path in both):
        birds, imagenet = (path.read_bytes() for path in both)
        yield Pair("birds to imagenet", birds, imagenet)
        yield Pair("imagenet to birds", imagenet, birds)


def large() -> Pair | None:
    """Four megabytes with noise of 5 %: no measure of size, and enough to measure time by."""
    path = CORAL / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    if not path.exists():
        return None
    base, rng = path.read_bytes(), np.random.default_rng(1)
    file = np.frombuffer(base, np.uint8).copy()
    for array in arrays(base):
        part = file[array.at : array.end]
        if (array.role, array.width) == ("data", 1):
            weights = part.view(np.int8).astype(float)
            noisy = weights + rng.normal(0, 0.05 * weights.std(), weights.shape)
            part[:] = np.clip(noisy.round(), -127, 127).astype(np.int8).view(np.uint8)
        elif array.role == "scale":
            scales = part.view("<f4")
            scales *= 1 + rng.normal(0, 0.02, scales.shape)
    return Pair(NOISE, base, file.tobytes())


def rivals(pair: Pair) -> dict[str, int]:
    """Return in how many bytes others would send it."""
    import bsdiff4

    far = zstandard.ZstdCompressionParameters.from_level(19, window_log=24, enable_ldm=True)
    base = zstandard.ZstdCompressionDict(pair.base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    from_base = zstandard.ZstdCompressor(compression_params=far, dict_data=base)
    return {
        "zstd": len(zstandard.ZstdCompressor(level=19).compress(pair.file)),
        "from": len(from_base.compress(pair.file)),
        "bsdiff": len(bsdiff4.diff(pair.base, pair.file)),
    }


def sizes(pair: Pair) -> Iterator[Row]:
    others = rivals(pair)
    framed, patch = len(offers.framed(pair.file)), len(patches.make(pair.base, pair.file))
    told = {**others, "frames": framed, "patch": patch}
    shown = ", ".join(f"{name} {100 * size / len(pair.file):.2f}" for name, size in told.items())
    print(f"{pair.name}: {len(pair.file)} bytes, in %: {shown}", file=sys.stderr, flush=True)
    ratio = min(framed, patch) / min(others.values())
    most = 0.5 if pair.name.endswith("drift-05") else 1.12
    yield {"what": f"{pair.name}: to the best", "value": ratio, "unit": "x", "most": most}
    percent = 100 * min(framed, patch) / len(pair.file)
    yield {"what": f"{pair.name}: of the file", "value": percent, "unit": "%"}


def costs(pair: Pair) -> Iterator[Row]:
    """Walk what it costs to apply: CPU against frames of zstd, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: Path(folder) / kind for kind in ("base", "zstd", "patch")}
        paths["base"].write_bytes(pair.base)
        paths["zstd"].write_bytes(offers.framed(pair.file))
        paths["patch"].write_bytes(patches.make(pair.base, pair.file))
        digest = hashlib.sha256(pair.file).hexdigest()
        least = {
            kind: applied(kind, paths[kind], paths["base"], len(pair.file), digest)
            for kind in ("zstd", "patch")
        }
    (plain_ms, _), (ms, kib) = least["zstd"], least["patch"]
    yield {"what": f"{pair.name}: CPU to zstd's", "value": ms / plain_ms, "unit": "x", "most": 1.5}
    yield {"what": f"{pair.name}: CPU", "value": ms, "unit": "ms"}
    yield {"what": f"{pair.name}: memory", "value": kib / 1024, "unit": "MiB", "most": 5}


def applied(kind: str, path: Path, base: Path, size: int, digest: str) -> tuple[float, int]:
    words = [sys.executable, __file__, kind, str(path), str(base), str(size), digest]
    ran = [subprocess.run(words, capture_output=True, check=True).stdout for _ in range(ROUNDS)]
    told = [(float(ms), int(kib)) for ms, kib in (line.split() for line in ran)]
    return min(ms for ms, _ in told), max(kib for _, kib in told)


def most_kib() -> int:
    told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(told[1]) if told else 0


def _at(base: int, at: int, size: int) -> bytes:
    return os.pread(base, size, at)


def apply(kind: str, path: str, base: str, size: str, digest: str) -> None:
    """In a process of its own: write the file, say what it cost. Imports were paid before."""
    file = File(sha256=digest, size=int(size))
    encoding = Encoding(kind="zstd", sha256=digest, size=0)
    if kind == "patch":
        encoding = Encoding(kind="patch", sha256=digest, size=0, base=digest)
    before, started = most_kib(), time.process_time()
    with Path(path).open("rb", buffering=0) as source, Path(f"{path}.out").open("wb") as out:
        old = os.open(base, os.O_RDONLY)
        base_at = partial(_at, old)
        out.writelines(encodings.decode(file, encoding, source.read, base=base_at))
    print((time.process_time() - started) * 1000, most_kib() - before)


def main() -> dict[str, object]:
    try:
        import bsdiff4  # noqa: F401
    except ImportError:
        return {"skipped": "there is no bsdiff4 to compare with: pip install bsdiff4"}
    rows = [row for pair in (*own("small"), *own("large"), *coral()) for row in sizes(pair)]
    for pair in (large(), *own("large")):
        if pair is not None and pair.name in MEASURED:
            rows += costs(pair)
    return {"rows": rows}


if __name__ == "__main__":
    if sys.argv[1:]:
        apply(*sys.argv[1:])
    else:
        print(json.dumps(main()))

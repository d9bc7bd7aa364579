"""The manifest: all that is said about a release, in one small file that is signed.

A bundle is this file and blobs named by their sha256. There is no archive: path traversal,
duplicate names, symlinks and decompression bombs vanish as classes. Names become parts of
paths on the device, so they are plain here or the manifest is refused.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from littoral import records
from littoral.bundle.preprocessing import Preprocessing
from littoral.bundle.runtimes import Range
from littoral.errors import MalformedError, UnsupportedFormatError

FORMAT: Final = 1
MAX_BYTES: Final = 64 * 1024
MAX_FILES: Final = 64
MAX_FILE_BYTES: Final = 4 * 2**30
NAME: Final = "manifest.json"

Task = Literal["classification", "detection", "segmentation", "keypoints", "embedding", "raw"]
Hardware = Literal[
    "cpu-x86_64", "cpu-aarch64", "cpu-armv7l", "edgetpu-usb", "edgetpu-pcie", "cuda", "tensorrt"
]
Engine = Literal["tflite", "onnx"]
EncodingKind = Literal["zstd", "patch"]

_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID = re.compile(r"[a-z0-9-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OPERATOR = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def check_id(what: str, name: str) -> str:
    """Return ``name``, which names a model, a device or a variant, if it is ``[a-z0-9-]{1,64}``.

    Raises:
        ValueError: It is not, and would lead out of a folder or a topic.

    """
    if not _ID.fullmatch(name):
        raise ValueError(f"{what}: expected 1 to 64 of a-z, 0-9 and '-', found {name!r}")
    return name


def check_sha256(what: str, digest: str) -> str:
    """Return ``digest`` if it is a sha256 in hex.

    Raises:
        ValueError: It is not.

    """
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{what}: expected a sha256 in hex, found {digest!r}")
    return digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """One way in which a file may travel, believed by a digest of its own."""

    kind: EncodingKind
    sha256: str
    size: int
    base: str | None = None  # a patch's: the sha256 of the file it starts from

    def __post_init__(self) -> None:
        check_sha256("sha256", self.sha256)
        if self.base is not None:
            check_sha256("base", self.base)
        if (self.base is not None) != (self.kind == "patch"):
            raise ValueError("a patch has a base, and nothing else has")
        if not 0 <= self.size <= MAX_FILE_BYTES:
            raise ValueError(f"size: {self.size} is out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file: the digest and size of its plain bytes, and the encodings it may travel in."""

    sha256: str
    size: int
    encodings: tuple[Encoding, ...] = ()

    def __post_init__(self) -> None:
        check_sha256("sha256", self.sha256)
        if not 0 <= self.size <= MAX_FILE_BYTES:
            raise ValueError(f"size: {self.size} is out of range")

    @property
    def blobs(self) -> tuple["Blob", ...]:
        """Return all that a repository keeps of it: the file as it is, then its encodings."""
        return (self, *self.encodings)


Blob = File | Encoding  # has a digest and a size of its own, and is called by that digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One input or output: ``real = scale * (stored - zero_point)``; scale 0 is not quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["int8", "uint8", "int16", "int32", "int64", "float16", "float32", "bool"]
    scale: float = 0.0
    zero_point: int = 0
    layout: str | None = None  # NHWC, NCHW, …
    preprocessing: Preprocessing | None = None  # of pictures

    def __post_init__(self) -> None:
        if not all(0 < n < 2**31 for n in self.shape):
            raise ValueError(f"{self.name}: every dimension is at least 1, found {self.shape}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requires:
    """What a device must have to run a variant; an empty list or a zero asks for nothing."""

    hardware: tuple[Hardware, ...]
    runtime: str | None = None  # as "litert>=2.1": littoral.bundle.runtimes
    operators: dict[str, int] = field(default_factory=dict)  # by name, the version that is used
    memory_bytes: int = 0

    def __post_init__(self) -> None:
        if self.runtime is not None:
            Range.parse(self.runtime)
        for name, version in self.operators.items():
            if not _OPERATOR.fullmatch(name) or not 1 <= version < 2**31:
                raise ValueError(f"operators: {name[:60]!r} in version {version} is none")
        if self.memory_bytes < 0:
            raise ValueError(f"memory_bytes: {self.memory_bytes} is out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run the release; the manifest lists them in order of preference.

    Every variant has the manifest's inputs and outputs. An ONNX model itself takes and gives real
    numbers (float32): where the manifest's tensor is quantized, whoever runs it converts.
    """

    id: str
    engine: Engine
    files: tuple[str, ...]  # the first one is the model
    requires: Requires
    delegate: str | None = None
    # Golden outputs of its own, stored as the manifest's outputs are, where other arithmetic gives
    # it other numbers than the self-test's.
    golden: str | None = None

    def __post_init__(self) -> None:
        check_id("variant", self.id)
        if not self.files:
            raise ValueError(f"variant {self.id}: names no file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far outputs may lie from the golden ones."""

    max_abs: float  # in real units: the largest difference of any element
    min_top1: float = 1.0  # the smallest fraction of samples whose largest output is the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Selftest:
    """Golden inputs and outputs, and what running them may cost.

    The two files hold ``count`` samples, one after the other: the bytes of each input (or
    output) in the manifest's order, C order, little-endian, in the stored dtype.
    """

    count: int
    inputs: str
    outputs: str
    tolerance: Tolerance
    p95_cpu_us: dict[str, float] = field(default_factory=dict)  # by hardware name
    memory_bytes: int = 0  # 0: no budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A release of a model."""

    format: int
    model: str
    release: int  # strictly increasing per model
    label: str  # the version as people say it
    task: Task
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    files: dict[str, File]
    variants: tuple[Variant, ...]
    selftest: Selftest
    # The rest are names of files.
    labels: str | None = None
    baseline: str | None = None
    report: str | None = None
    report_data: str | None = None
    provenance: str | None = None
    bom: str | None = None
    signature: str | None = None

    def __post_init__(self) -> None:
        check_id("model", self.model)
        if not 1 <= self.release < 2**53:
            raise ValueError(f"release: expected at least 1, found {self.release}")
        if not 1 <= len(self.files) <= MAX_FILES:
            raise ValueError(f"files: expected 1 to {MAX_FILES}, found {len(self.files)}")
        for name in self.files:
            if not _FILE_NAME.fullmatch(name) or name == NAME:
                raise ValueError(f"files: {name!r} is not a plain file name")
        for name in self._named():
            if name not in self.files:
                raise ValueError(f"{name!r} is named but is not among the files")
        ids = [variant.id for variant in self.variants]
        if not ids or len(set(ids)) != len(ids):
            raise ValueError("variants: expected at least one, each with an id of its own")

    def _named(self) -> tuple[str, ...]:
        singles = (
            self.labels,
            self.baseline,
            self.report,
            self.report_data,
            self.provenance,
            self.bom,
            self.signature,
        )
        return (
            *(name for name in singles if name is not None),
            *(name for variant in self.variants for name in variant.files),
            *(variant.golden for variant in self.variants if variant.golden is not None),
            self.selftest.inputs,
            self.selftest.outputs,
        )

    def variant(self, name: str) -> Variant:
        """Return the variant with the id ``name``. Raises MalformedError."""
        for found in self.variants:
            if found.id == name:
                return found
        known = ", ".join(found.id for found in self.variants)
        raise MalformedError(f"{self.model}:{self.release}: no variant {name!r}, only: {known}")

    def variant_for(self, hardware: str) -> Variant | None:
        """Return the variant that the publisher prefers on ``hardware``, None if there is none."""
        return next(iter(self.variants_for(hardware)), None)

    def variants_for(self, hardware: str) -> tuple[Variant, ...]:
        """Return the variants for ``hardware``, as the publisher prefers them."""
        return tuple(v for v in self.variants if hardware in v.requires.hardware)

    def variants_on(self, cpu: str | None) -> tuple[Variant, ...]:
        """Return what a machine may run whose processor is ``cpu``, as the publisher prefers it.

        Those for that processor, and those for something beside one: who opens them finds out
        whether it is there.
        """
        return tuple(
            v
            for v in self.variants
            if any(not name.startswith("cpu-") or name == cpu for name in v.requires.hardware)
        )

    def selftest_for(self, variant: Variant) -> Selftest:
        """Return the self-test that ``variant`` has to pass."""
        outputs = variant.golden or self.selftest.outputs
        return dataclasses.replace(self.selftest, outputs=outputs)

    def twin_of(self, variant: Variant) -> Variant | None:
        """Return what runs instead while the accelerator of ``variant`` is away, if anything does.

        The first variant of the same engine that needs no other library, on any processor: a
        compiled model's twin is what it was compiled from.
        """
        if variant.delegate is None:
            return None
        plain = (v for v in self.variants if v.engine == variant.engine and v.delegate is None)
        return next(plain, None)

    def files_for(self, variant: Variant) -> Mapping[str, File]:
        """Return the files that a device needs to prove and run ``variant``, and no other.

        With it comes its twin: when the accelerator is away it is too late to fetch one.
        """
        test, twin = self.selftest_for(variant), self.twin_of(variant)
        names = [*variant.files, test.inputs, test.outputs]
        names += [*twin.files, self.selftest_for(twin).outputs] if twin is not None else []
        names += [name for name in (self.labels, self.baseline) if name is not None]
        return {name: self.files[name] for name in dict.fromkeys(names)}

    def to_json(self) -> bytes:
        """Return the bytes that are signed."""
        return records.to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Read what ``to_json`` wrote.

        Raises:
            MalformedError: A field is missing, unknown, of the wrong kind or against the rules.
            UnsupportedFormatError: A later littoral wrote it.

        """
        try:
            value = records.parse_json(data, limit=MAX_BYTES)
            found = value.get("format") if isinstance(value, dict) else None
            if type(found) is int and found != FORMAT:
                raise UnsupportedFormatError("manifest", found=found, known=FORMAT)
            return records.fill(cls, value)
        except records.RecordError as e:
            raise MalformedError(f"manifest: {e}") from e


def target_path(model: str, release: int) -> str:
    """Return the name of a release's manifest in the repository's signed metadata."""
    return f"bundles/{model}/{release}/{NAME}"

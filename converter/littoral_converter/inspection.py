"""What a .tflite file or a bundle is: borders, operators, weights, Edge TPU, what it needs to run.

Reads and never runs: the file may be anybody's.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from littoral.bundle.manifest import Variant
from littoral.durable import storage_errors
from littoral.errors import BackendMissingError, MalformedError, MisuseError
from littoral.model import registered
from littoral_converter import bundled, check, graph, source
from littoral_converter.check import Graph as Checked
from littoral_converter.edgetpu import compiled, mapping
from littoral_converter.edgetpu.mapping import Mapping
from littoral_converter.graph import Graph, Tensor
from littoral_converter.source import Kind

_COMPILED: Final = "_edgetpu"  # how the compiler names what it makes of X: X_edgetpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One input or output; a scale of 0 is not quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """The constant tensors of one type."""

    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What must be there for it to run."""

    runtime: str | None  # the oldest TFLite, as the file says
    versions: dict[str, int]  # by operator, the last one that is used
    custom: tuple[str, ...]  # operators that a library brings
    edgetpu_runtime: int | None
    unknown_here: dict[str, int] | None  # what LiteRT here knows too little of; None: there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    file: str
    bytes: int
    sha256: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: dict[str, int]
    fully_integer: bool
    edgetpu: Mapping
    weights: dict[str, Constants]  # by type
    needs: Needs
    subgraphs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One variant of a bundle; ``inspection`` is None where its model is no TFLite."""

    id: str
    engine: str
    delegate: str | None
    hardware: tuple[str, ...]
    file: str
    inspection: Inspection | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSeen:
    model: str
    release: int
    label: str
    task: str
    variants: tuple[Seen, ...] = field(default_factory=tuple)


def file(path: Path, *, twin: Path | None = None) -> Inspection:
    """Return what the .tflite file ``path`` is.

    What it was compiled from, if it was, is ``twin`` or lies beside it under the name that the
    compiler made its name from.

    Raises:
        MisuseError: It is another kind of model, or ``twin`` is of another model.
        MalformedError: It is no model, or damaged.

    """
    data = _read(path)
    found = graph.read(data)
    if twin is None:
        beside = path.with_name(path.name.replace(_COMPILED, ""))
        other = _maybe(beside) if beside != path else None
        other = other if other is not None and mapping.twins(found, other) else None
    else:
        other = graph.read(_read(twin))
        if not mapping.twins(found, other):
            raise MisuseError(f"{path} was not compiled from {twin}: its inputs or outputs differ")
    return _inspection(path.name, data, found, twin=other)


def bundle(folder: Path) -> BundleSeen:
    """Return what the bundle ``folder`` holds.

    Raises:
        BundleError: It is none, or a file is not what its manifest names.

    """
    told = bundled.told(folder)
    bundled.check(folder, told)  # what devices never fetch, too: people read it
    models = {
        v.id: bundled.file(folder, told, v.files[0]) for v in told.variants if v.engine == "tflite"
    }
    graphs = {name: graph.read(data) for name, data in models.items()}

    def twin(variant: Variant) -> Graph | None:
        mine = graphs[variant.id]
        others = (found for found in graphs.values() if found is not mine)
        return next((found for found in others if mapping.twins(mine, found)), None)

    def look(variant: Variant) -> Inspection | None:
        if variant.id not in graphs:
            return None
        name = variant.files[0]
        return _inspection(name, models[variant.id], graphs[variant.id], twin=twin(variant))

    return BundleSeen(
        model=told.model,
        release=told.release,
        label=told.label,
        task=told.task,
        variants=tuple(_seen(v, look) for v in told.variants),
    )


def _seen(variant: Variant, look: Callable[[Variant], Inspection | None]) -> Seen:
    return Seen(
        id=variant.id,
        engine=variant.engine,
        delegate=variant.delegate,
        hardware=variant.requires.hardware,
        file=variant.files[0],
        inspection=look(variant),
    )


def _read(path: Path) -> bytes:
    kind = source.detect(path).kind
    if kind != Kind.TFLITE:
        raise MisuseError(f"{path}: this is a model of {kind}; inspect reads .tflite and bundles")
    with storage_errors(path):
        return path.read_bytes()


def _maybe(path: Path) -> Graph | None:
    """Return the graph that may lie at ``path``, None where there is none."""
    try:
        return graph.read(_read(path))
    except (MisuseError, MalformedError):
        return None


def _inspection(name: str, data: bytes, found: Graph, *, twin: Graph | None) -> Inspection:
    checked, main = check.read(data), found.main
    mapped = mapping.of(found, twin=twin)
    return Inspection(
        file=name,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        inputs=tuple(_port(found, k) for k in main.inputs),
        outputs=tuple(_port(found, k) for k in main.outputs),
        operators=dict(sorted(checked.counts.items())),
        fully_integer=_integer(checked),
        edgetpu=mapped,
        weights=_weights(found),
        needs=_needs(checked, mapped),
        subgraphs=len(found.subgraphs),
    )


def _integer(checked: Checked) -> bool:
    """Whether it computes in integers alone; what was compiled for an Edge TPU does."""
    strange = [o for o in checked.operators if o.custom and o.name != compiled.OPERATOR]
    return not (strange or checked.bad_scales or any(o.floats for o in checked.operators))


def _port(found: Graph, index: int) -> Port:
    tensor = found.main.tensors[index]
    scaled = len(tensor.scales) == 1 and math.isfinite(tensor.scales[0])
    return Port(
        name=found.names.get(index, tensor.name),
        shape=tensor.shape,
        dtype=tensor.dtype,
        scale=tensor.scales[0] if scaled else 0.0,
        zero_point=tensor.zero_points[0] if scaled and tensor.zero_points else 0,
    )


def _weights(found: Graph) -> dict[str, Constants]:
    held: dict[str, list[Tensor]] = {}
    for tensor in (t for s in found.subgraphs for t in s.tensors if t.constant):
        held.setdefault(tensor.dtype, []).append(tensor)
    return {
        dtype: Constants(
            tensors=len(tensors),
            elements=sum(math.prod(t.shape) for t in tensors),
            bytes=sum(len(t.data) for t in tensors if t.data is not None),
        )
        for dtype, tensors in sorted(held.items())
    }


def _needs(checked: Checked, mapped: Mapping) -> Needs:
    custom = Counter(o.name for o in checked.operators if o.custom)
    try:
        unknown = registered.unknown(checked.versions)
    except BackendMissingError:
        unknown = None
    return Needs(
        runtime=checked.min_runtime,
        versions=checked.versions,
        custom=tuple(sorted(custom)),
        edgetpu_runtime=mapped.min_runtime_version,
        unknown_here=unknown,
    )

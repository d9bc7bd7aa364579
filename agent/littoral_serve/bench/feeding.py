"""What a model is fed while it is measured, and the import of what runs it."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from littoral.bundle.manifest import Manifest, Tensor
from littoral.errors import BackendMissingError
from littoral.model import tensors
from littoral.model.backends import Array
from littoral.model.selftest import Sample, unpack

_RANDOM: Final = 8  # samples
_SEED: Final = 20
_BYTES: Final = ("int8", "uint8")


def inputs(
    specs: Sequence[Tensor],
    told: Manifest | None,
    golden: Sequence[int],
    *,
    read: Callable[[int], bytes],
) -> tuple[Sequence[Sample], str]:
    """Return what to run on, and whether it is golden or random."""
    if told is not None and golden:
        return unpack(read(golden[0]), told.inputs, count=told.selftest.count), "golden"
    chance = np.random.default_rng(_SEED)
    return [tuple(_random(spec, chance) for spec in specs) for _ in range(_RANDOM)], "random"


def _random(spec: Tensor, chance: np.random.Generator) -> Array:
    """Return any values; numbers that may be places in a table are 0."""
    if spec.dtype in _BYTES or tensors.is_quantized(spec):
        ends = np.iinfo(spec.dtype)
        return chance.integers(ends.min, ends.max, spec.shape, spec.dtype, endpoint=True)
    if spec.dtype in {"float32", "float16"}:
        return chance.random(spec.shape, np.float32).astype(spec.dtype)
    return np.zeros(spec.shape, spec.dtype)


def import_runtime(backend: str) -> str:
    """Import what runs models there; return its name and version.

    Raises:
        BackendMissingError: It is not installed.

    """
    try:
        match backend:
            case "litert" | "edgetpu":
                import ai_edge_litert.interpreter

                return f"LiteRT {ai_edge_litert.__version__}"
            case "onnx" | "cuda" | "tensorrt":
                from littoral.model.backends import onnx

                return f"ONNX Runtime {onnx.imported().__version__}"
            case _:
                return f"NumPy {np.__version__}"
    except ImportError as e:
        raise BackendMissingError(f"{backend}: its runtime is not installed ({e})") from e

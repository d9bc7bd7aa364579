"""The ways to run a model, all in one place: add a backend by adding a case."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from littoral.bundle.manifest import Manifest, Variant
from littoral.errors import BackendMissingError
from littoral.model.backends.base import Array, Session

NAMES: Final = ("litert", "edgetpu", "onnx", "cuda", "tensorrt", "reference")

__all__ = [
    "NAMES",
    "Array",
    "Session",
    "backend_for",
    "backend_of",
    "open_session",
    "open_variant",
]


def open_session(
    backend: str, model: bytes, *, threads: int = 1, engines: Path | None = None
) -> Session:
    """Load ``model``, the bytes of a .tflite or .onnx file, and make it ready to run.

    ``engines`` is a folder of this model's own, in which TensorRT looks for what it built of it,
    and leaves what it builds.

    Raises:
        BackendMissingError: This machine has no such runtime or accelerator.
        NotDelegatedError: The accelerator would run nothing of it.
        BackendError: The runtime is here and refuses this model.

    """
    match backend:
        case "litert":
            from littoral.model.backends.litert import LiteRTSession

            return LiteRTSession(model, threads=threads)
        case "edgetpu":
            from littoral.model.backends.edgetpu import EdgeTpuSession

            return EdgeTpuSession(model, threads=threads)
        case "onnx" | "cuda" | "tensorrt":
            from littoral.model.backends.onnx import OnnxSession

            return OnnxSession(model, provider=backend, threads=threads, engines=engines)
        case "reference":
            from littoral.model.backends.reference import ReferenceSession

            return ReferenceSession(model)
        case _:
            raise BackendMissingError(f"no backend {backend!r}; there are: {', '.join(NAMES)}")


def open_variant(
    manifest: Manifest,
    variant: Variant,
    model: bytes,
    *,
    backend: str | None = None,
    threads: int = 1,
    engines: Path | None = None,
) -> Session:
    """Load ``model`` as ``variant`` of ``manifest`` runs it: stored values in and out.

    ``backend`` runs it instead of the variant's own. Raises as ``open_session``.
    """
    name = backend or backend_for(variant)
    session = open_session(name, model, threads=threads, engines=engines)
    if variant.engine != "onnx":
        return session
    from littoral.model.backends.border import AtBorder

    return AtBorder(session, inputs=manifest.inputs, outputs=manifest.outputs)


def backend_of(path: Path, model: bytes) -> str:
    """Return the name of the backend that runs ``model``, the bytes of the bare file ``path``."""
    if path.suffix == ".onnx":
        return "onnx"
    from littoral.model import compiled

    return "edgetpu" if compiled.is_compiled(model) else "litert"


def backend_for(variant: Variant) -> str:
    """Return the name of the backend that runs ``variant``.

    Raises:
        BackendMissingError: None does.

    """
    try:
        return backend_named(variant.engine, variant.delegate, variant.requires.hardware)
    except BackendMissingError as e:
        raise BackendMissingError(f"variant {variant.id}: {e}") from None


def backend_named(engine: str, delegate: str | None, hardware: Sequence[str] = ()) -> str:
    """Return the name of the backend that runs variants of these words. Raises as backend_for.

    An ONNX model for both CUDA and TensorRT runs with CUDA: the same numbers on either.
    """
    match engine, delegate:
        case "tflite", None:
            return "litert"
        case "tflite", "edgetpu":
            return "edgetpu"
        case "onnx", None:
            return next((name for name in ("cuda", "tensorrt") if name in hardware), "onnx")
        case _:
            what = f"{engine} with {delegate}" if delegate else engine
            raise BackendMissingError(f"no backend runs {what} here")

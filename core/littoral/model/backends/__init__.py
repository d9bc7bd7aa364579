"""The ways to run a model, all in one place: add a backend by adding a case."""

from typing import Final

from littoral.bundle.manifest import Variant
from littoral.errors import BackendMissingError
from littoral.model.backends.base import Array, Session

NAMES: Final = ("litert", "edgetpu", "reference")

__all__ = ["NAMES", "Array", "Session", "backend_for", "open_session"]


def open_session(backend: str, model: bytes, *, threads: int = 1) -> Session:
    """Load ``model``, the bytes of a .tflite file, and make it ready to run.

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
        case "reference":
            from littoral.model.backends.reference import ReferenceSession

            return ReferenceSession(model)
        case _:
            raise BackendMissingError(f"no backend {backend!r}; there are: {', '.join(NAMES)}")


def backend_for(variant: Variant) -> str:
    """Return the name of the backend that runs ``variant``.

    Raises:
        BackendMissingError: None does.

    """
    try:
        return backend_named(variant.engine, variant.delegate)
    except BackendMissingError as e:
        raise BackendMissingError(f"variant {variant.id}: {e}") from None


def backend_named(engine: str, delegate: str | None) -> str:
    """Return the name of the backend that runs variants of these words. Raises as backend_for."""
    match engine, delegate:
        case "tflite", None:
            return "litert"
        case "tflite", "edgetpu":
            return "edgetpu"
        case _:
            what = f"{engine} with {delegate}" if delegate else engine
            raise BackendMissingError(f"no backend runs {what} here")

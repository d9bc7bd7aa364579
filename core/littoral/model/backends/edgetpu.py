"""LiteRT with an Edge TPU. What was not compiled for one would run on the processor, unnoticed."""

import ctypes
from typing import Any, Final

from littoral.errors import BackendError, BackendMissingError, NotDelegatedError
from littoral.model.backends.litert import LiteRTSession, missing

LIBRARY: Final = "libedgetpu.so.1"
_COMPILED: Final = "edgetpu-custom-op"  # what the compiler made of the operators that it mapped


class EdgeTpuSession(LiteRTSession):
    """One process at a time has an Edge TPU."""

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        try:
            super().__init__(model, threads=threads, delegates=(_delegate(),))
        except BackendError as e:
            if f"unresolved custom op: {_COMPILED}" not in str(e):
                raise
            raise NotDelegatedError(f"{LIBRARY} took over none of its operators") from e
        # One that the library leaves is none that LiteRT could run: then it has just refused.
        if _COMPILED not in self.operators:
            raise NotDelegatedError(
                f"none of its {len(self.operators)} operators was compiled for an Edge TPU; "
                "compile it with edgetpu_compiler"
            )


def _delegate() -> Any:  # noqa: ANN401
    try:
        from ai_edge_litert.interpreter import load_delegate
    except ImportError as e:
        raise missing(e) from e
    try:
        ctypes.CDLL(LIBRARY)  # where it is not, LiteRT's own class complains of itself, too
        return load_delegate(LIBRARY)
    except (OSError, ValueError) as e:
        why = " ".join(str(e).split()) or type(e).__name__
        raise BackendMissingError(
            f"no Edge TPU can be opened ({LIBRARY}: {why}); is it there, and in nobody's use?"
        ) from e

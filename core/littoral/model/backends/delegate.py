"""LiteRT with a delegate that this device's settings name: the library of an NPU, by its path.

It is loaded into this process, which it may end. A manifest names delegates by a word; which
library that is, and whether there is one, is the device's to say.
"""

from littoral.errors import BackendError, BackendMissingError, NotDelegatedError
from littoral.model.backends.litert import LiteRTSession
from littoral.model.plugin import Delegate


class DelegateSession(LiteRTSession):
    """Raises NotDelegatedError where the library would run nothing of the model."""

    def __init__(self, model: bytes, *, library: str, threads: int = 1) -> None:
        _check_taken(model, library)
        super().__init__(model, threads=threads, delegates=(open_delegate(library),))


def open_delegate(library: str) -> Delegate:
    """Return the delegate of ``library``. Raises BackendMissingError."""
    try:
        return Delegate(library)
    except (OSError, ValueError, AttributeError) as e:
        why = " ".join(str(e).split()) or type(e).__name__
        raise BackendMissingError(f"the delegate {library} cannot be opened: {why}") from e


def _check_taken(model: bytes, library: str) -> None:
    # LiteRT's own delegate, which takes what is left, would look like it.
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        alone = Interpreter(
            model_content=model,
            experimental_delegates=[open_delegate(library)],
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        alone.allocate_tensors()
        names = [one["op_name"] for one in alone._get_ops_details()]  # noqa: SLF001 (as litert.py)
    except (ValueError, RuntimeError, LookupError, TypeError) as e:
        raise BackendError(f"LiteRT refuses this model: {' '.join(str(e).split())}") from e
    if "DELEGATE" not in names:
        raise NotDelegatedError(f"{library} took over none of its {len(names)} operators")

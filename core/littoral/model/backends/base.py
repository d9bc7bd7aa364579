"""What every backend gives."""

from typing import Any, Protocol

from numpy.typing import NDArray

from littoral.bundle.manifest import Tensor

Array = NDArray[Any]


class Session(Protocol):
    """One model, loaded and ready. Not safe to share between threads."""

    @property
    def inputs(self) -> tuple[Tensor, ...]: ...
    @property
    def outputs(self) -> tuple[Tensor, ...]: ...
    def run(self, *inputs: Array) -> tuple[Array, ...]:
        """Return the stored outputs for stored ``inputs``, in the order and shapes of the specs.

        Raises:
            ValueError: An input is not as its spec says.
            BackendError: The model fails.

        """
        ...

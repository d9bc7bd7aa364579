"""A model that takes and gives real numbers, under a manifest that stores them as integers."""

from collections.abc import Sequence

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError
from littoral.model import tensors
from littoral.model.backends.base import Array, Session


class AtBorder:
    """``session`` as the manifest sees it: stored values in, stored values out."""

    def __init__(
        self, session: Session, *, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None:
        for found, told in ((session.inputs, inputs), (session.outputs, outputs)):
            _match(found, told)
        self._session = session
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        # By its own order, which need not be the manifest's.
        self._asked = _order(session.inputs, inputs)
        self._given = _order(outputs, session.outputs)

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        tensors.check_all(inputs, self.inputs)
        real = [_real(inputs[at], self.inputs[at]) for at in self._asked]
        made = self._session.run(*real)
        return tuple(
            _stored(made[at], spec) for at, spec in zip(self._given, self.outputs, strict=True)
        )


def _match(found: Sequence[Tensor], told: Sequence[Tensor]) -> None:
    """Raise BackendError where a model's tensors are not those of its manifest."""
    ours = {spec.name: spec for spec in found}
    names = [spec.name for spec in told]
    if set(ours) != set(names) or len(found) != len(told):
        raise BackendError(
            f"the manifest names the tensors {', '.join(names)}; the model has {', '.join(ours)}"
        )
    for spec in told:
        real = "float32" if tensors.is_quantized(spec) else spec.dtype
        one = ours[spec.name]
        if (one.shape, one.dtype) != (spec.shape, real):
            raise BackendError(
                f"{spec.name!r}: the manifest says {real} {list(spec.shape)}, "
                f"the model has {one.dtype} {list(one.shape)}"
            )


def _order(wanted: Sequence[Tensor], there: Sequence[Tensor]) -> list[int]:
    """Return where in ``there`` each of ``wanted`` is."""
    places = {spec.name: at for at, spec in enumerate(there)}
    return [places[spec.name] for spec in wanted]


def _real(stored: Array, spec: Tensor) -> Array:
    return tensors.dequantize(stored, spec) if tensors.is_quantized(spec) else stored


def _stored(real: Array, spec: Tensor) -> Array:
    if not tensors.is_quantized(spec):
        return real
    try:
        return tensors.quantize(real, spec)
    except ValueError as e:
        raise BackendError(f"the model failed: {e}") from e

"""Rounds what flows between layers while a model is trained, as its INT8 twin will.

A layer's ``call`` is wrapped for as long as the training goes on, in Keras 3 and tf-keras alike.
Ranges are learned by looking on first, and follow slowly afterwards.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_SLOWLY: Final = 0.99  # of the range stays, each time
# What a runtime joins to the operator before: there are no 8 bits between the two.
_JOINED: Final = {"BatchNormalization", "ReLU"}
_ACTIVATIONS: Final = {"relu", "relu6"}
# What makes no new numbers.
_SAME: Final = {
    "InputLayer", "Flatten", "Reshape", "Dropout", "SpatialDropout1D", "SpatialDropout2D",
    "Permute", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "MaxPooling1D",
    "MaxPooling2D", "RepeatVector", "UpSampling1D", "Masking", "GaussianNoise",
}  # fmt: skip


class Ranges:
    """The range of each rounded output, and what is done about it at the moment."""

    def __init__(self, tf: Any) -> None:  # noqa: ANN401
        self._tf = tf
        self._looking = tf.Variable(initial_value=True, trainable=False)
        self._following = tf.Variable(initial_value=False, trainable=False)

    def look(self) -> None:
        """Let everything pass as it is, and widen the ranges by it."""
        self._looking.assign(value=True)

    def follow(self) -> None:
        """Round, and let the ranges follow what comes."""
        self._looking.assign(value=False)
        self._following.assign(value=True)

    def rest(self) -> None:
        """Round, and leave the ranges as they are."""
        self._looking.assign(value=False)
        self._following.assign(value=False)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call`` with its answer rounded."""
        tf = self._tf
        low, high = (tf.Variable(0.0, trainable=False) for _ in range(2))

        def rounded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            answer = call(*args, **kwargs)
            if not tf.is_tensor(answer) or answer.dtype != tf.float32:
                return answer
            self._move(low, high, answer)
            return tf.cond(
                self._looking,
                lambda: answer,
                lambda: tf.quantization.fake_quant_with_min_max_vars(answer, low, high),
            )

        return rounded

    def _move(self, low: Any, high: Any, answer: Any) -> None:  # noqa: ANN401
        tf = self._tf
        for bound, found, wider in (
            (low, tf.minimum(tf.reduce_min(answer), 0.0), tf.minimum),
            (high, tf.maximum(tf.reduce_max(answer), 0.0), tf.maximum),
        ):
            followed = _SLOWLY * bound + (1 - _SLOWLY) * found
            still = tf.where(self._following, followed, bound)
            bound.assign(tf.where(self._looking, wider(bound, found), still))


@contextmanager
def rounding(tf: Any, model: Any) -> Iterator[Ranges]:  # noqa: ANN401
    """Round the outputs of ``model``'s layers, and leave them as they were."""
    ranges = Ranges(tf)
    wrapped = [layer for layer in _all(model) if _makes_numbers(layer)]
    try:
        for layer in wrapped:
            layer.call = ranges.around(layer.call)
        yield ranges
    finally:
        for layer in wrapped:
            vars(layer).pop("call", None)


def _all(model: Any) -> Iterator[Any]:  # noqa: ANN401
    for layer in model.layers:
        if hasattr(layer, "layers") and hasattr(layer, "to_json"):
            yield from _all(layer)
        else:
            yield layer


def _makes_numbers(layer: Any) -> bool:  # noqa: ANN401
    return type(layer).__name__ not in _SAME and not _is_joined(layer)


def _is_joined(layer: Any) -> bool:  # noqa: ANN401
    """Tell whether the one layer that takes this one's answer becomes a part of its operator."""
    nodes = layer._outbound_nodes  # noqa: SLF001 (no Keras has another way)
    if len(nodes) != 1:
        return False
    after = getattr(nodes[0], "operation", None) or nodes[0].layer
    named = getattr(getattr(after, "activation", None), "__name__", "")
    kind = type(after).__name__
    return kind in _JOINED or (kind == "Activation" and named in _ACTIVATIONS)

"""What a step asks of one kernel's weights: a mask, clusters, rounding; held by all later steps.

Training goes on in free floats. Before each look at samples the weights are put where they are
held, afterwards they are given back, and what was learned there moves the free ones (a
straight-through estimate). So a clustered weight moves with its cluster's mean, and a rounded
one once its float has moved far enough.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.compress.kernels import Kernel

STEPS: Final = 127  # of INT8 weights on either side of 0: -128 is not used
_LEAST: Final = 1e-12  # a scale is never 0, also where all weights are


@dataclass(slots=True, kw_only=True, eq=False)
class Hold:
    kernel: Kernel
    mask: Any = None  # a tf.Variable of 0.0 and 1.0: it changes while sparsity grows
    alive: NDArray[np.float32] | float = 1.0  # 0.0 where it was 0 when its mask was opened
    clusters: NDArray[np.int32] | None = None  # of each weight; 0 is the one of zeros
    rounded: bool = False

    @property
    def free(self) -> bool:
        return self.mask is None and self.clusters is None and not self.rounded

    def place(self, tf: Any, weights: Any, *, rounded: bool = True) -> Any:  # noqa: ANN401
        """Return where ``weights`` are held."""
        if self.mask is not None:
            weights = weights * self.mask
        if self.clusters is not None:
            weights = _means(tf, weights, self.clusters, self.mask)
        if self.rounded and rounded:
            weights = _rounded(tf, weights, self.kernel)
        return weights

    def open(self, tf: Any) -> None:  # noqa: ANN401
        """Make ready to be pruned; what is 0 already was pruned before, and stays so."""
        self.alive = (self.kernel.variable.numpy() != 0).astype(np.float32)
        if self.mask is None:
            self.mask = tf.Variable(self.alive, trainable=False)

    def prune(self, mask: NDArray[np.float32]) -> None:
        """Hold at 0 what is 0 in ``mask``."""
        self.mask.assign(mask * self.alive)

    def settle(self, tf: Any) -> None:  # noqa: ANN401
        """Put the weights where they are held, for good. Rounding them is the quantizer's."""
        variable = self.kernel.variable
        variable.assign(self.place(tf, variable.read_value(), rounded=False))


def _means(tf: Any, weights: Any, clusters: NDArray[np.int32], mask: Any) -> Any:  # noqa: ANN401
    """Return the mean of its cluster for each weight; what was pruned later is no member."""
    count = int(clusters.max()) + 1
    at = tf.constant(clusters.ravel())
    members = tf.ones_like(weights) if mask is None else mask
    sums, sizes = (
        tf.math.unsorted_segment_sum(tf.reshape(each, [-1]), at, count)
        for each in (weights, members)
    )
    means = tf.math.divide_no_nan(sums, sizes) * tf.constant([0.0] + [1.0] * (count - 1))
    return tf.gather(means, tf.constant(clusters)) * members


def _rounded(tf: Any, weights: Any, kernel: Kernel) -> Any:  # noqa: ANN401
    """Return ``weights`` as INT8 will have them: a scale for each output, or for each gate."""
    shape = kernel.shape
    if kernel.gates:
        split = (*shape[:-1], kernel.gates, shape[-1] // kernel.gates)
        axes = [axis for axis in range(len(split)) if axis != len(split) - 2]
        return tf.reshape(_steps(tf, tf.reshape(weights, split), axes), shape)
    return _steps(tf, weights, [axis for axis in range(len(shape)) if axis not in kernel.outputs])


def _steps(tf: Any, weights: Any, axes: list[int]) -> Any:  # noqa: ANN401
    largest = tf.reduce_max(tf.abs(weights), axis=axes, keepdims=True)
    scale = tf.maximum(largest / STEPS, _LEAST)
    return tf.round(weights / scale) * scale

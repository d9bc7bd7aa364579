"""The tensors of one model in memory that two processes see: serve writes inputs, reads outputs.

It is sealed: neither side can shrink it or make it grow, so that nothing the other one does can
take this one down. What is in it can change at any time, so what counts is copied out first.
"""

import fcntl
import mmap
import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from littoral.bundle.manifest import Tensor
from littoral.model.backends.base import Array

_ALIGN: Final = 64  # bytes: whole lines of the processor's cache
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Sheet:
    """``inputs`` and ``outputs`` are views; the memory goes with the last of them."""

    def __init__(self, fd: int, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Map ``fd``, which stays the caller's. Raises ValueError where it is too small."""
        sizes = [_nbytes(spec) for spec in (*inputs, *outputs)]
        self._memory = mmap.mmap(fd, max(sum(sizes), _ALIGN))
        views, at = [], 0
        for spec, size in zip((*inputs, *outputs), sizes, strict=True):
            count = int(np.prod(spec.shape, dtype=np.int64))
            views.append(np.frombuffer(self._memory, spec.dtype, count, at).reshape(spec.shape))
            at += size
        self.inputs: tuple[Array, ...] = tuple(views[: len(inputs)])
        self.outputs: tuple[Array, ...] = tuple(views[len(inputs) :])

    def fill(self, inputs: Sequence[Array]) -> None:
        for view, array in zip(self.inputs, inputs, strict=True):
            np.copyto(view, array)

    def made(self) -> tuple[Array, ...]:
        """Return the outputs, as they are now."""
        return tuple(view.copy() for view in self.outputs)


def memory(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    """Return a descriptor of memory for these tensors, which is the caller's to close."""
    size = sum(_nbytes(spec) for spec in (*inputs, *outputs))
    fd = os.memfd_create("tensors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, max(size, _ALIGN))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


def _nbytes(spec: Tensor) -> int:
    size = int(np.prod(spec.shape, dtype=np.int64)) * np.dtype(spec.dtype).itemsize
    return -(-size // _ALIGN) * _ALIGN

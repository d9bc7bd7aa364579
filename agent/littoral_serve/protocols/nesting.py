"""Lists within lists, as a decoder of JSON made them, into arrays: a level at a time, in C.

A step of Python for each of a picture's numbers takes longer than the model, and a list of them
beside the lists more memory than the picture. What does not fit is not explained here.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array

_flat: Final = chain.from_iterable
_REAL: Final = frozenset((int, float))  # exactly these: for Python True is an int


def read(value: Any, shape: Sequence[int], dtype: str) -> Array | None:  # noqa: ANN401
    """Return ``value`` as an array of ``shape``; None where it is not all that it should be."""
    lists = innermost(value, shape)
    if lists is None or not fit(lists, dtype):
        return None
    try:
        return joined(lists, dtype).reshape(shape)
    except (OverflowError, ValueError):  # a number beyond a float, more dimensions than there are
        return None


def shape_of(value: Any) -> list[int]:  # noqa: ANN401
    """Return the shape that the first elements of ``value`` have."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def innermost(value: Any, shape: Sequence[int]) -> list[list[Any]] | None:  # noqa: ANN401
    """Return the lists whose elements ``shape`` says are no lists; None where it is not theirs."""
    lists = [[value]]
    for size in shape:
        inner = list(_flat(lists))
        if set(map(type, inner)) != {list} or set(map(len, inner)) != {size}:
            return None
        lists = inner
    return lists


def kinds(lists: list[list[Any]]) -> set[type]:
    """Return the types of all elements."""
    return set(map(type, _flat(lists)))


def fit(lists: list[list[Any]], dtype: str) -> bool:
    """Tell whether all elements are numbers, or truths, that ``dtype`` can hold."""
    found = kinds(lists)
    if dtype == "bool":
        return found <= {bool}
    if dtype.startswith("float"):
        return found <= _REAL
    if not found <= {int}:
        return False
    least, most = limits(dtype)
    return least <= min(_flat(lists), default=0) and max(_flat(lists), default=0) <= most


def joined(lists: list[list[Any]], dtype: str) -> Array:
    """Return elements that fit as a flat array; what a float cannot hold is infinity there.

    Raises:
        OverflowError: A whole number is beyond all floats.

    """
    with np.errstate(over="ignore"):
        return np.fromiter(_flat(lists), dtype, sum(map(len, lists)))


def good(items: Sequence[Any], are_good: Callable[[Sequence[Any]], bool]) -> int:
    """Return how many of ``items`` come before the first that is not good; there is one."""
    low, high = 0, len(items)
    while high - low > 1:
        middle = (low + high) // 2
        if are_good(items[low:middle]):
            low = middle
        else:
            high = middle
    return low


@lru_cache
def limits(dtype: str) -> tuple[int, int]:
    """Return the least and the greatest whole number that ``dtype`` holds."""
    found = np.iinfo(dtype)
    return int(found.min), int(found.max)

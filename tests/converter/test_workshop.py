from pathlib import Path

import numpy as np
import pytest

from littoral_converter.recipe import Limits
from littoral_converter.workshop import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(folder=tmp_path, limits=Limits(), say=lambda _: None)


def test_what_is_mapped_from_the_folder_is_not_copied(shop: Workshop) -> None:
    first = shop.keep("a.npy", np.arange(6.0).reshape(3, 2))
    second = shop.keep("b.npy", np.load(first, mmap_mode="r"))
    assert second.samefile(first)


def test_axes_in_another_order_are_kept_so_even_where_the_bytes_stay(shop: Workshop) -> None:
    """One channel: moved behind all else, it moves nothing."""
    values = np.arange(32.0).reshape(2, 1, 4, 4)
    mapped = np.load(shop.keep("first.npy", values), mmap_mode="r")
    turned = np.transpose(mapped, (0, 2, 3, 1))
    assert turned.flags.c_contiguous
    found = np.load(shop.keep("last.npy", turned))
    assert found.shape == (2, 4, 4, 1)
    assert (found[..., 0] == values[:, 0]).all()

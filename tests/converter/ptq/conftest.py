"""A small float model of handwritten digits, and what it is asked about."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from littoral_converter.ptq.network import Network

TINY = Path(__file__).parents[2] / "fixtures/tiny_float.tflite"


@pytest.fixture(scope="session")
def tiny() -> bytes:
    return TINY.read_bytes()


@pytest.fixture
def network(tiny: bytes) -> Network:
    return Network.read(tiny)


@pytest.fixture(scope="session")
def digits() -> NDArray[np.float32]:
    """[1797, 8, 8, 1], 0 to 1, shuffled."""
    images = load_digits().images[..., None].astype(np.float32) / 16
    shuffled: NDArray[np.float32] = np.random.default_rng(0).permutation(images)
    return shuffled

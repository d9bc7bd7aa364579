"""The honest models that mutants are made of: the fixtures, and larger ones where they are.

Each with the inputs and outputs that its manifest names, and golden vectors of its own.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from littoral.bundle.manifest import Tensor
from littoral.model import selftest
from littoral.model.backends import open_session
from littoral.model.selftest import Sample
from simulators.served import FIXTURES, noise

SMALL: Final = ("tiny_int8", "tiny_float", "two_int8")
_SHARED: Final = Path(__file__).parents[3] / "shared" / "models"
_LARGER: Final = (
    "mlperf_tiny/kws_ref_model_int8.tflite",
    "coral/mobilenet_v1_0.25_128_quant.tflite",
)
_SAMPLES: Final = 4


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """An honest model and what is known of it."""

    name: str
    data: bytes
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    given: tuple[Sample, ...]
    wanted: tuple[Sample, ...]

    @property
    def golden(self) -> tuple[bytes, bytes]:
        return selftest.pack(self.given), selftest.pack(self.wanted)


@cache
def small() -> tuple[Source, ...]:
    """Return the models that lie in the repository."""
    return tuple(_source(FIXTURES / f"{name}.tflite") for name in SMALL)


@cache
def larger() -> tuple[Source, ...]:
    """Return real models, as many as there are here."""
    return tuple(_source(path) for name in _LARGER if (path := _SHARED / name).is_file())


def _source(path: Path) -> Source:
    data = path.read_bytes()
    session = open_session("litert", data)
    given = tuple(noise(session.inputs, _SAMPLES))
    wanted = tuple(session.run(*sample) for sample in given)
    return Source(path.stem, data, session.inputs, session.outputs, given, wanted)

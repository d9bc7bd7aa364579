"""Where in a model the error comes from: what each operator's output lost. Only in a child."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from littoral_converter.ptq import observe
from littoral_converter.ptq.network import Network
from littoral_converter.ptq.observe import Floats

_SAMPLES: Final = 32
_MOST_DB: Final = 200.0  # what stands for no error at all: JSON knows no infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    """How near what an operator gives lies to what the float model's gives."""

    name: str  # of its output
    operator: str
    snr_db: float


def layers(reference: Network, model: bytes, samples: Floats) -> tuple[LayerError, ...]:
    """Return the error of each operator whose output is in both, in the order they run."""
    kept = observe.names(model)
    made = [(reference.name(t), op) for op in reference.ops for t in op.outputs]
    both = [(name, op) for name, op in made if name in kept]
    wanted = [name for name, op in both if reference.is_float(op.outputs[0])]
    power, noise = np.zeros(len(wanted)), np.zeros(len(wanted))
    some = samples[np.linspace(0, len(samples) - 1, min(_SAMPLES, len(samples))).astype(int)]
    pairs = zip(
        observe.runs(reference.write(), some, wanted),
        observe.runs(model, some, wanted),
        strict=True,
    )
    for exact, real in pairs:
        for k, (a, b) in enumerate(zip(exact[1:], real[1:], strict=True)):
            power[k] += float(np.square(a, dtype=np.float64).sum())
            noise[k] += float(np.square(b - a, dtype=np.float64).sum())
    kinds = {name: op.kind for name, op in both}
    return tuple(
        LayerError(name=name, operator=kinds[name], snr_db=_db(p, n))
        for name, p, n in zip(wanted, power, noise, strict=True)
    )


def _db(power: float, noise: float) -> float:
    if noise <= 0 or power <= 0:
        return _MOST_DB if noise <= 0 else -_MOST_DB
    return float(np.clip(10 * np.log10(power / noise), -_MOST_DB, _MOST_DB))

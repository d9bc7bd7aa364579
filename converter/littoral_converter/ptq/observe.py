"""Runs a model on samples and tells what its tensors held. Only ever called in a child."""

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import BackendError

Floats = NDArray[np.float32]

_MOST: Final = 20_000  # values of a channel that are kept
_KEPT_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What one tensor held. Tensors of one shape were looked at in the same places."""

    values: Floats  # [n, channels]: some of it
    low: float  # of all of it
    high: float


def answers(model: bytes, samples: Floats) -> Floats:
    """Return the real values of the one output, [samples, …]."""
    answered = [values[0] for values in runs(model, samples, ())]
    return np.stack(answered)


def watch(model: bytes, samples: Floats, names: Iterable[str]) -> dict[str, Floats]:
    """Return what the named tensors held, as real values: [samples, …] each."""
    wanted = tuple(names)
    found: dict[str, Floats] = {}
    for number, values in enumerate(runs(model, samples, wanted)):
        for name, value in zip(wanted, values[1:], strict=True):
            if number == 0:
                found[name] = np.empty((len(samples), *value.shape), np.float32)
            found[name][number] = value
    return found


def survey(
    model: bytes, samples: Floats, names: Iterable[str], *, seed: int = 0
) -> dict[str, Seen]:
    """Return some of what the named tensors held, few enough to keep them all in memory."""
    wanted = tuple(names)
    rng = np.random.default_rng(seed)
    kept: dict[str, list[Floats]] = {name: [] for name in wanted}
    ends = dict.fromkeys(wanted, (np.inf, -np.inf))
    places: dict[int, NDArray[np.int64]] = {}
    rows = 0
    for number, values in enumerate(runs(model, samples, wanted)):
        flat = [value.reshape(-1, value.shape[-1] if value.ndim else 1) for value in values[1:]]
        if number == 0:
            channels = sum(value.shape[1] for value in flat)
            rows = max(1, min(_MOST, _KEPT_BYTES // (4 * channels)) // len(samples))
        places.clear()
        for name, value in zip(wanted, flat, strict=True):
            low, high = ends[name]
            ends[name] = min(low, float(value.min())), max(high, float(value.max()))
            if len(value) > rows:
                if len(value) not in places:
                    places[len(value)] = rng.choice(len(value), rows, replace=False)
                value = value[places[len(value)]]  # noqa: PLW2901
            kept[name].append(value.copy())
    return {
        name: Seen(values=np.concatenate(kept[name]), low=ends[name][0], high=ends[name][1])
        for name in wanted
    }


def cpu_us(model: bytes, samples: Floats) -> float:
    """Return the median CPU time of an invoke in µs, after one that warms up."""
    took = []
    with _telling():
        interpreter = _open(model, preserve=False)
        source = interpreter.get_input_details()[0]
        for sample in (samples[0], *samples):
            interpreter.set_tensor(source["index"], _stored(sample[None], source))
            start = time.process_time_ns()
            interpreter.invoke()
            took.append((time.process_time_ns() - start) / 1e3)
    return float(np.median(took[1:]))


def names(model: bytes) -> frozenset[str]:
    """Return what the tensors of ``model`` are called."""
    with _telling():
        return frozenset(d["name"] for d in _open(model, preserve=False).get_tensor_details())


def runs(model: bytes, samples: Floats, names: Sequence[str]) -> Iterator[list[Floats]]:
    """Walk the samples; tell the output and the named tensors for each, without the batch.

    Raises:
        BackendError: LiteRT refuses the model, or the model fails.

    """
    with _telling():
        interpreter = _open(model, preserve=bool(names))
        details = {d["name"]: d for d in interpreter.get_tensor_details()}
        source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        kept = [result, *(details[name] for name in names)]
        for sample in samples:
            interpreter.set_tensor(source["index"], _stored(sample[None], source))
            interpreter.invoke()
            yield [_real(interpreter.get_tensor(d["index"]), d)[0] for d in kept]


@contextmanager
def _telling() -> Iterator[None]:
    """Turn LiteRT's errors into ours."""
    try:
        yield
    except (RuntimeError, ValueError) as e:
        raise BackendError(f"LiteRT cannot run the model: {e}") from e


def _open(model: bytes, *, preserve: bool) -> Any:  # noqa: ANN401
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keeping all tensors costs memory: we know
        interpreter = Interpreter(
            model_content=model, num_threads=1, experimental_preserve_all_tensors=preserve
        )
    interpreter.allocate_tensors()
    return interpreter


def _stored(value: Floats, detail: Any) -> NDArray[Any]:  # noqa: ANN401
    scale, zero = detail["quantization"]
    if not scale:
        return value.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    stored = np.clip(np.round(value / np.float32(scale)) + zero, limits.min, limits.max)
    return np.asarray(stored, detail["dtype"])


def _real(value: NDArray[Any], detail: Any) -> Floats:  # noqa: ANN401
    scale, zero = detail["quantization"]
    if not scale:
        return value.astype(np.float32, copy=False)
    return (value.astype(np.float32) - np.float32(zero)) * np.float32(scale)

"""In a child: how near each tensor of a model lies to its namesake in another, and how it is used.

Both models run side by side on the same samples, and what every operator gave is compared while
it is there, so that memory is that of one sample. Of large tensors every so many rows are looked
at. Channels may have been scaled on purpose (equalising does): then what is left beside each
channel's own gain is the error, and ``scaled`` says so.
"""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import BackendError
from littoral_converter import graph
from littoral_converter.evidence import stored
from littoral_converter.evidence.stored import BINS, Weights
from littoral_converter.graph import Graph
from littoral_converter.worker import Progress, Say

Doubles = NDArray[np.float64]

_SAMPLES: Final = 32
_FEWEST: Final = 4
_VALUES: Final = 40_000_000  # of all tensors and samples together: seconds, not minutes
_ROWS: Final = 65_536  # values of one tensor of one sample that are looked at
_MOST: Final = 400  # tensors that are told of
_GAIN: Final = 0.05  # of the typical channel: beyond it somebody scaled it on purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    reference: Path  # .tflite
    model: Path
    samples: Path  # .npy of [n, …] float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator's result in the model, and how it differs from the reference's."""

    name: str
    operator: str
    shape: tuple[int, ...]
    dtype: str
    error: float  # root mean square, as a part of the reference's own: 0 is equal
    cosine: float  # beside each channel's own gain, like the error, where it is scaled
    scaled: bool  # channel by channel, on purpose
    low: float  # what its numbers can say, or, of floats, what they said
    high: float
    clipped: float | None  # the part on either end; of an end that says 0, nothing; None: floats
    counts: tuple[int, ...]  # of its values, from low to high
    reference: tuple[int, ...]  # of the reference's, over the same; empty where it is scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``layers`` in the order they run; those that the other model does not have are not there."""

    samples: int
    layers: tuple[Layer, ...] = field(default=())
    weights: tuple[Weights, ...] = field(default=())


def run(job: Job, *, say: Say) -> Found:
    """Return what each tensor of the model is like.

    Raises:
        MalformedError: One of the files is damaged.
        BackendError: LiteRT refuses one of them.

    """
    data, other = job.model.read_bytes(), job.reference.read_bytes()
    mine = graph.read(data)
    samples = np.load(job.samples, mmap_mode="r")
    try:
        pair = _open(other), _open(data)
        names = _names(mine, *pair)
        size = sum(int(np.prod(d["shape"])) for _, d in names.values()) or 1
        count = int(np.clip(_VALUES // size, _FEWEST, _SAMPLES))
        at = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int))
        tallies = {name: _Tally(*details) for name, details in names.items()}
        for done, k in enumerate(at):
            say(Progress(stage="comparing tensors", done=done, of=len(at)))
            _invoke(pair, np.asarray(samples[k]))
            for tally in tallies.values():
                tally.add(pair[0], pair[1])
    except (RuntimeError, ValueError) as e:
        raise BackendError(f"LiteRT cannot run the models side by side: {e}") from e
    kinds = {mine.main.tensors[t].name: o.name for o in mine.main.operators for t in o.outputs}
    return Found(
        samples=len(at),
        layers=tuple(tally.layer(name, kinds[name]) for name, tally in tallies.items()),
        weights=tuple(stored.weights(mine)),
    )


def _open(model: bytes) -> Any:  # noqa: ANN401
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keeping all tensors costs memory: we know
        interpreter = Interpreter(
            model_content=model, num_threads=1, experimental_preserve_all_tensors=True
        )
    interpreter.allocate_tensors()
    return interpreter


def _names(mine: Graph, reference: Any, model: Any) -> dict[str, tuple[Any, Any]]:  # noqa: ANN401
    """Return the results that both have, by name; the model's own answer is always one."""
    theirs = {d["name"]: d for d in reference.get_tensor_details()}
    ours = {d["index"]: d for d in model.get_tensor_details()}
    made = {k: mine.main.tensors[k].name for o in mine.main.operators for k in o.outputs}
    found: dict[str, tuple[Any, Any]] = {}
    for index, name in list(made.items())[:_MOST]:
        if name in theirs and index in ours and _alike(theirs[name], ours[index]):
            found[name] = theirs[name], ours[index]
    ends = zip(reference.get_output_details(), model.get_output_details(), strict=False)
    for theirs_end, ours_end in ends:
        if ours_end["index"] in made and _alike(theirs_end, ours_end):
            found.setdefault(made[ours_end["index"]], (theirs_end, ours_end))
    return found


def _alike(one: Any, other: Any) -> bool:  # noqa: ANN401
    values = all(d["dtype"] == np.float32 or d["quantization"][0] for d in (one, other))
    return values and tuple(one["shape"]) == tuple(other["shape"])


def _invoke(pair: tuple[Any, Any], sample: NDArray[np.float32]) -> None:
    for interpreter in pair:
        source = interpreter.get_input_details()[0]
        scale, zero = source["quantization"]
        value: NDArray[Any] = sample[None]
        if scale:
            limits = np.iinfo(source["dtype"])
            value = np.clip(np.round(value / np.float32(scale)) + zero, limits.min, limits.max)
        interpreter.set_tensor(source["index"], value.astype(source["dtype"]))
        interpreter.invoke()


class _Tally:
    """What was seen of one tensor so far: sums by channel, and how often which value."""

    def __init__(self, reference: Any, model: Any) -> None:  # noqa: ANN401
        self._reference, self._model = reference, model
        scale, zero = model["quantization"]
        self._steps = np.iinfo(model["dtype"]) if scale else None
        self._low = scale * (self._steps.min - zero) if self._steps else 0.0
        self._high = scale * (self._steps.max - zero) if self._steps else 0.0
        self._sums: Doubles | None = None  # aa, ab, bb by channel
        self._counts = np.zeros((2, BINS), np.int64)
        self._clipped = self._seen = 0

    def add(self, reference: Any, model: Any) -> None:  # noqa: ANN401
        stored = model.get_tensor(self._model["index"])
        a = _rows(_real(reference.get_tensor(self._reference["index"]), self._reference))
        b = _rows(_real(stored, self._model))
        sums = np.stack([(a * a).sum(0), (a * b).sum(0), (b * b).sum(0)])
        if self._sums is None:
            self._sums = np.zeros_like(sums)
            if self._steps is None:
                spread = 0.25 * float(np.ptp(b)) or 1.0
                self._low, self._high = float(b.min()) - spread, float(b.max()) + spread
        self._sums += sums
        edges = (self._low, self._high)
        for row, values in enumerate((a, b)):
            inside = np.clip(values, *edges)
            self._counts[row] += np.histogram(inside, BINS, edges)[0]
        if self._steps is not None:
            rows = _rows(stored)
            for end, real in ((self._steps.min, self._low), (self._steps.max, self._high)):
                self._clipped += int((rows == end).sum()) if real else 0
        self._seen += b.size

    def layer(self, name: str, operator: str) -> Layer:
        assert self._sums is not None  # noqa: S101 (there is at least one sample)
        error, cosine, scaled = judge(*self._sums)
        return Layer(
            name=name,
            operator=operator,
            shape=tuple(int(n) for n in self._model["shape"]),
            dtype=np.dtype(self._model["dtype"]).name,
            error=error,
            cosine=cosine,
            scaled=scaled,
            low=float(self._low),
            high=float(self._high),
            clipped=self._clipped / self._seen if self._steps is not None else None,
            counts=tuple(int(n) for n in self._counts[1]),
            reference=() if scaled else tuple(int(n) for n in self._counts[0]),
        )


def judge(aa: Doubles, ab: Doubles, bb: Doubles) -> tuple[float, float, bool]:
    """Return error, cosine and whether channels were scaled, of sums of products by channel.

    ``aa`` is the reference's by itself, ``ab`` by the model's, ``bb`` the model's by itself.
    """
    power, norm = float(aa.sum()), float(bb.sum())
    if power <= 0 or norm <= 0:
        same = power == norm
        return 0.0 if same else 1.0, 1.0 if same else 0.0, False
    cosine = float(np.clip(ab.sum() / np.sqrt(power * norm), -1, 1))
    gains = np.divide(ab, aa, out=np.ones_like(aa), where=aa > 0)
    order = np.argsort(gains)
    middle = order[np.searchsorted(np.cumsum(aa[order]), power / 2)]
    apart = np.abs(gains - 1)
    weighed = float((apart * aa).sum() / power)
    rest = np.maximum(bb - np.divide(ab * ab, aa, out=np.zeros_like(aa), where=aa > 0), 0)
    left = float(np.sqrt(rest.sum() / norm))
    # An unlucky scale moves all channels a little; equalising moves each another way, exactly.
    if weighed > _GAIN and left < weighed / 2 and float(np.ptp(gains)) > _GAIN * gains[middle]:
        return left, float(np.sqrt(max(1 - left**2, 0.0))), True
    noise = max(float((aa - 2 * ab + bb).sum()), 0.0)
    return float(np.sqrt(noise / power)), cosine, False


def _rows(value: NDArray[Any]) -> NDArray[Any]:
    """Return [rows, channels], at most about _ROWS values of it, evenly spread."""
    flat = value.reshape(-1, value.shape[-1] if value.ndim > 1 else value.size)
    return flat[:: max(1, flat.size // _ROWS)]


def _real(value: NDArray[Any], detail: Any) -> Doubles:  # noqa: ANN401
    scale, zero = detail["quantization"]
    real = value.astype(np.float64)
    return (real - zero) * scale if scale else real

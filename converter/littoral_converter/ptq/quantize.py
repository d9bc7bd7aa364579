"""A float .tflite file and samples in; a quantized one, and what each step won, out.

Every step is judged on a part of the samples that no step learns from, and undone if it makes
the answers worse, by more than chance would. Runs models: only ever called in a child.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError, MisuseError
from littoral_converter.ptq import (
    backend,
    effort,
    equalise,
    faces,
    observe,
    ranges,
    refine,
    relax,
    substitutes,
)
from littoral_converter.ptq.backend import Plan
from littoral_converter.ptq.effort import Step
from littoral_converter.ptq.judge import Judge, Verdict
from littoral_converter.ptq.mixed import Mixer
from littoral_converter.ptq.network import Network
from littoral_converter.ptq.observe import Seen

Floats = NDArray[np.float32]
Say = Callable[[str, int, int], None]  # what is done, how much of it, and of how much
Counted = Callable[[int, int], None]

_NARROW: Final[set[Step]] = {"ranges", "equalise"}  # nothing to win, where there are 65,535 steps
_JUDGED: Final = 5  # one sample in so many is kept for judging
_FEW: Final = 20  # samples: of fewer, none can be spared
_VALUES: Final = 300_000  # of what was seen: enough to choose a range


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a step made of the model, on the samples that judge."""

    step: Step
    verdict: Verdict
    kept: bool
    cpu_s: float
    model_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    model: bytes
    steps: tuple[Done, ...]
    mixer: Mixer  # where answers are not near enough yet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The network as it stands, and what has been found out about it."""

    network: Network
    reference: Network  # what its floats were before any was rounded
    seen: dict[int, Seen]
    ranges: dict[int, tuple[float, float]]
    searched: bool = False  # whether these are the best ranges, not the whole ones
    refined: refine.How | None = None


def quantize(
    float_tflite: bytes,
    calibration: Floats,
    *,
    io: Literal["int8", "uint8"] = "int8",
    activations: Literal["int8", "int16"] = "int8",
    per_channel: bool = True,
    steps: Collection[Step] | None = None,
    keep_float: Collection[str] = frozenset(),
    say: Say = lambda _what, _done, _of: None,
) -> Quantized:
    """Return the model with weights of eight bits. Equal arguments give equal bytes.

    ``calibration`` is [samples, …]; ``per_channel`` is about dense layers; ``steps`` of None are
    those that the model's work allows; ``keep_float`` names the outputs of operators that stay in
    floating point. ``io`` is for activations of eight bits.

    Raises:
        MalformedError: ``float_tflite`` is no model.
        MisuseError: It has no operator of a name in ``keep_float``.
        ConversionError: It cannot be quantized.
        BackendError: LiteRT refuses what was made.

    """
    network = Network.read(float_tflite)
    _check(network, calibration)
    substitutes.substitute(network)
    left = _left(network, keep_float)
    plan = Plan(dense_per_channel=per_channel, most=activations, other=left)
    if steps is None:
        steps = effort.steps(network)
    if activations == "int16":
        steps = set(steps) - _NARROW
    learned, judged = _split(calibration)
    judge = Judge.of(network.write(), judged)
    seen = _survey(network, learned)
    work = _Work(network=network, reference=network, seen=seen, ranges=_whole(seen))
    done: list[Done] = []
    model = b""
    for step in _in_order(steps):
        say(step, 0, 0)
        start = time.process_time()
        tried = _take(step, work, learned, plan, partial(say, step))
        made = backend.quantize(tried.network, tried.ranges, plan)
        verdict = judge.ask(made)
        kept = not done or not verdict.worse(_best(done))
        spent = time.process_time() - start
        done.append(Done(step=step, verdict=verdict, kept=kept, cpu_s=spent, model_bytes=len(made)))
        if kept:
            work, model = tried, made
    mixer = Mixer(
        network=work.network,
        reference=work.reference,
        ranges=work.ranges,
        judge=judge,
        plan=plan,
    )
    made = faces.as_uint8(model) if io == "uint8" else model
    return Quantized(model=made, steps=tuple(done), mixer=mixer)


def _check(network: Network, calibration: Floats) -> None:
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ConversionError("expected a model of one input and one output")
    (source,) = network.inputs
    if not network.is_float(source):
        raise ConversionError("expected a model of float32, found one that is quantized already")
    wanted, found = network.shape(source), (1, *calibration.shape[1:])
    if wanted != found:
        raise ConversionError(f"expected samples of {list(wanted[1:])}, found {list(found[1:])}")


def _left(network: Network, names: Collection[str]) -> dict[int, backend.Precision]:
    by_name = {network.name(t): op.index for op in network.ops for t in op.outputs}
    if strange := sorted(set(names) - set(by_name)):
        near = get_close_matches(strange[0], by_name, n=1, cutoff=0) or [""]
        raise MisuseError(
            f"keep_float: the model has no operator that makes {strange[0]!r}; the nearest is "
            f"{near[0]!r}, and the report of a conversion names them all"
        )
    return {by_name[name]: "float" for name in names}


def _split(calibration: Floats) -> tuple[Floats, Floats]:
    """Return what is learned from, and what judges."""
    if len(calibration) < _FEW:
        return calibration, calibration
    at = np.arange(len(calibration)) % _JUDGED == _JUDGED - 1
    return calibration[~at], calibration[at]


def _in_order(steps: Collection[Step]) -> Iterator[Step]:
    yield "plain"
    for step in effort.ORDER:
        if step in steps and step != "plain" and not (step == "bias" and "rounding" in steps):
            yield step


def _best(done: list[Done]) -> Verdict:
    return min((d.verdict for d in done if d.kept), key=lambda verdict: verdict.loss)


def _take(step: Step, work: _Work, learned: Floats, plan: Plan, say: Counted) -> _Work:
    """Return what ``work`` becomes."""
    match step:
        case "plain":
            return work
        case "relax":
            network = work.network.copy()
            relax.relax(network)
            return replace(work, network=network, reference=network)
        case "ranges":
            found = _searched(work.reference, work.seen)
            return replace(work, ranges=found, searched=True)
        case "bias" | "rounding":
            how = refine.How(round_weights=step == "rounding")
            return _refined(replace(work, refined=how), learned, plan, say)
        case "equalise":
            network = work.reference.copy()
            equalise.equalise(network, {t: s.values for t, s in work.seen.items()})
            seen = _survey(network, learned)
            found = _searched(network, seen) if work.searched else _whole(seen)
            made = replace(work, network=network, reference=network, seen=seen, ranges=found)
            return _refined(made, learned, plan, say)


def _refined(work: _Work, learned: Floats, plan: Plan, say: Counted) -> _Work:
    if work.refined is None:
        return work
    network = work.reference.copy()
    refine.refine(
        network,
        work.reference,
        learned,
        ranges=work.ranges,
        plan=plan,
        how=work.refined,
        say=say,
    )
    return replace(work, network=network)


def _survey(network: Network, samples: Floats) -> dict[int, Seen]:
    names = {network.name(t): t for t in network.activations}
    seen = observe.survey(network.write(), samples, names)
    for name, held in seen.items():
        if not np.isfinite([held.low, held.high]).all():
            raise ConversionError(f"{name}: the float model gives NaN or infinity for a sample")
    return {tensor: seen[name] for name, tensor in names.items()}


def _whole(seen: dict[int, Seen]) -> dict[int, tuple[float, float]]:
    return {t: (min(s.low, 0.0), max(s.high, 0.0)) for t, s in seen.items()}


def _searched(network: Network, seen: dict[int, Seen]) -> dict[int, tuple[float, float]]:
    """Return the best ranges. The input's is the whole one: it is the caller's."""
    found, swallowed = _whole(seen), equalise.swallowed(network)
    for tensor in seen.keys() - set(network.inputs):
        other = _some(seen[swallowed[tensor]]) if tensor in swallowed else None
        found[tensor] = ranges.best(_some(seen[tensor]), added=other)
    return found


def _some(seen: Seen) -> Floats:
    return seen.values[:: -(-seen.values.size // _VALUES)]

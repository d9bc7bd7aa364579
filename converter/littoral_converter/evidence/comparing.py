"""How two models answer the same samples: either may be float, INT8, a bundle or a framework's.

Runs nothing itself: each model answers in a child, and what it answers is held side by side.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import BackendError, MalformedError, MisuseError
from littoral.model import tensors
from littoral_converter import (
    budget,
    build,
    bundled,
    check,
    declared,
    evaluate,
    graph,
    litert,
    reading,
    source,
    worker,
    workshop,
)
from littoral_converter.budget import Latency
from littoral_converter.data import Data
from littoral_converter.evaluate import Errors, Likeness, Rating
from littoral_converter.evidence import nearness, worst
from littoral_converter.evidence.nearness import Layer
from littoral_converter.evidence.worst import Worst
from littoral_converter.importers import program
from littoral_converter.litert import Ran
from littoral_converter.recipe import Limits, Recipe
from littoral_converter.samples.asked import Asked
from littoral_converter.source import Kind
from littoral_converter.workshop import Workshop

Floats = NDArray[np.float32]

_RANK: Final = 2  # [samples, classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the models; figures that need true classes or numbers are None without them."""

    name: str
    kind: str
    bytes: int
    sha256: str
    fully_integer: bool | None  # None: no TFLite
    latency: Latency | None  # here; of TFLite alone
    accuracy: float | None = None
    rating: Rating | None = None
    errors: Errors | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    a: Side
    b: Side
    data: str
    samples: int
    agreement: float | None
    likeness: Likeness
    worst: tuple[Worst, ...]  # the worst one first
    labels: tuple[str, ...] | None
    tensors: tuple[Layer, ...] | None  # None: they cannot be held side by side, ``why``
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answered:
    """A model and its answers, in real numbers; ``tflite`` where tensors can be looked at."""

    side: Side
    answers: Floats
    tflite: Path | None


def compare(a: Path, b: Path, samples: Path, *, say: worker.Say) -> Comparison:
    """Return how the models ``a`` and ``b`` answer ``samples``.

    Raises:
        MisuseError: There is no such file, or the two answer different questions.
        MalformedError: A file is damaged.
        LittoralError: What worker.run raises.

    """
    want = _want(a, b)
    with workshop.place() as folder:
        reader = Workshop(folder=folder, limits=Limits(), say=say)
        held = reading.samples(reader, samples, want, name="evaluation")
        shops = []
        for name in ("a", "b"):
            place = folder / name
            place.mkdir()
            shops.append(Workshop(folder=place, limits=Limits(), say=say))
        one, other = shops
        return _compared(_ask(one, a, held), _ask(other, b, held), held, shop=other)


def _want(*models: Path) -> Asked:
    """Return how pictures become samples: as a bundle says it, else as large as a model takes."""
    for path in models:
        if bundled.is_one(path):
            found = bundled.model(path)
            first, *_ = found.told.inputs
            return Asked(
                shape=first.shape[1:], preprocessing=first.preprocessing, labels=found.labels
            )
    sources = [source.detect(path) for path in models]
    shapes, ends = map(declared.shape, sources), map(declared.ends, sources)
    return Asked(
        shape=next((shape for shape in shapes if shape is not None), None),
        ends=next((pair for pair in ends if pair is not None), None),
    )


def _ask(shop: Workshop, path: Path, held: Data) -> _Answered:
    name = path.name
    if bundled.is_one(path):
        model = bundled.model(path)
        path, name = model.path, model.name
    found = source.detect(path)
    if found.kind == Kind.TFLITE:
        return _run(shop, path, held, name=name)
    at = shop.keep("samples.npy", held.x)
    read = build.read(shop, found, at, seen=held.x.shape[1:], recipe=Recipe())
    if read.axes:  # how FLOAT takes them, which stands for the model when tensors are compared
        shop.keep("samples.npy", program.arranged(held.x, read))
    answers = np.load(shop.folder / program.ANSWERS)
    side = Side(
        name=name,
        kind=found.kind,
        bytes=found.size,
        sha256=found.sha256,
        fully_integer=None,
        latency=None,
    )
    return _Answered(side=side, answers=answers, tflite=shop.folder / program.FLOAT)


def _run(shop: Workshop, path: Path, held: Data, *, name: str) -> _Answered:
    plain = path.read_bytes()
    answers = shop.folder / "answers.npy"
    samples = shop.keep("samples.npy", _taken(plain, held, name=name))
    job = litert.Run(model=path.resolve(), samples=samples, answers=answers, stage=f"asking {name}")
    ran = shop.do("run", job, Ran, name="run")
    side = Side(
        name=name,
        kind=Kind.TFLITE,
        bytes=len(plain),
        sha256=hashlib.sha256(plain).hexdigest(),
        fully_integer=check.read(plain).fully_integer,
        latency=budget.latency(ran.cpu_us, ran.wall_us),
    )
    real = tensors.dequantize(np.load(answers), ran.outputs[0])
    return _Answered(side=side, answers=real, tflite=path.resolve())


def _taken(plain: bytes, held: Data, *, name: str) -> Floats:
    """Return the samples as a TFLite model takes them: its channels may stand last, theirs first.

    Raises:
        MisuseError: They are not what it takes.

    """
    main, x = graph.read(plain).main, held.x
    if len(main.inputs) != 1:
        return x  # the child says it
    shape = main.tensors[main.inputs[0]].shape[1:]
    last = np.moveaxis(x, 1, -1) if x.ndim > _RANK else x
    if x.shape[1:] != shape and last.shape[1:] == shape:
        return np.ascontiguousarray(last)
    program.check_samples(f"{held.name} for {name}", x.shape[1:], shape)
    return x


def _compared(a: _Answered, b: _Answered, held: Data, *, shop: Workshop) -> Comparison:
    if a.answers.shape != b.answers.shape:
        raise MisuseError(
            f"expected two models of one task; {a.side.name} answers {list(a.answers.shape[1:])} "
            f"and {b.side.name} {list(b.answers.shape[1:])}"
        )
    ranked = held.targets is None and a.answers.ndim == _RANK and a.answers.shape[1] > 1
    likeness = evaluate.likeness(a.answers, b.answers, ranked=ranked)
    found, why = _tensors(a, b, shop)
    return Comparison(
        a=_judged(a, held, ranked=ranked),
        b=_judged(b, held, ranked=ranked),
        data=held.name,
        samples=len(held),
        agreement=likeness.agreement,
        likeness=likeness,
        worst=worst.find(a.answers, b.answers, held.y if ranked else None, ranked=ranked),
        labels=held.labels,
        tensors=found,
        why=why,
    )


def _judged(asked: _Answered, held: Data, *, ranked: bool) -> Side:
    if held.targets is not None:
        try:
            return replace(asked.side, errors=evaluate.errors(asked.answers, held.targets))
        except ValueError as e:
            raise MalformedError(f"{held.name}: {e}") from e
    if held.y is None or not ranked:
        return asked.side
    names = held.labels or tuple(str(k) for k in range(asked.answers.shape[1]))
    try:
        rating = evaluate.rate(asked.answers, held.y, labels=names)
    except ValueError as e:
        raise MalformedError(f"{held.name}: {e}") from e
    return replace(asked.side, accuracy=rating.accuracy, rating=rating)


def _tensors(
    a: _Answered, b: _Answered, shop: Workshop
) -> tuple[tuple[Layer, ...] | None, str | None]:
    if a.tflite is None or b.tflite is None:
        return None, "one of them is no TFLite"
    job = nearness.Job(reference=a.tflite, model=b.tflite, samples=shop.folder / "samples.npy")
    try:
        found: Any = shop.do("tensors", job, nearness.Found, name="tensors")
    except BackendError as e:
        return None, str(e)
    return found.layers, None

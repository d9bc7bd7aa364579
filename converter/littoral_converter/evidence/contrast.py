"""A comparison of two models as text for a terminal."""

from collections.abc import Callable, Iterator
from typing import Final

from littoral.commands.output import table
from littoral.sizes import size
from littoral_converter.evidence.comparing import Comparison, Side
from littoral_converter.evidence.worst import Worst

_TENSORS: Final = 12
_ERRORS: Final = {
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "max_abs": "largest error",
    "r2": "R²",
}
_WORDS: Final = {True: "yes", False: "no", None: None}
_HEADS: Final = ("SAMPLE", "A", "B", "TRUE", "APART")


def draw(found: Comparison) -> str:
    """Return the whole of it, the worst samples and tensors last."""
    parts = [table(("", found.a.name, found.b.name), list(_rows(found)))]
    parts.append("\n".join(_likeness(found)))
    if found.worst:
        rows = [_worst(found, one) for one in found.worst]
        parts.append("samples answered most differently\n" + table(_HEADS, rows))
    if found.tensors:
        parts.append(_tensors(found))
    elif found.why is not None:
        parts.append(f"tensors are not compared: {found.why}")
    return "\n\n".join(parts)


def _rows(found: Comparison) -> Iterator[tuple[object, ...]]:
    def row(name: str, say: Callable[[Side], object]) -> tuple[object, ...]:
        return name, say(found.a), say(found.b)

    yield row("kind", lambda s: s.kind)
    yield row("size", lambda s: size(s.bytes))
    yield row("fully integer", lambda s: _WORDS[s.fully_integer])
    yield row("p95 CPU time here", lambda s: s.latency and f"{s.latency.cpu_us.p95:,.1f} µs")
    if found.a.errors is not None:
        for name, words in _ERRORS.items():
            yield words, _error(found.a, name), _error(found.b, name)
    if found.a.rating is not None:
        yield row("accuracy", lambda s: _percent(s.accuracy))
        for name in ("precision", "recall", "f1"):
            yield f"{name}, mean of classes", _macro(found.a, name), _macro(found.b, name)


def _error(side: Side, name: str) -> str | None:
    value: float | None = getattr(side.errors, name, None)
    return None if value is None else f"{value:.5g}"


def _macro(side: Side, name: str) -> str | None:
    return None if side.rating is None else _percent(getattr(side.rating.macro, name))


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.2%}"


def _likeness(found: Comparison) -> Iterator[str]:
    like = found.likeness
    if found.agreement is not None:
        yield f"same answer: {found.agreement:.2%} of {found.samples} samples in {found.data}"
    yield f"cosine: {like.cosine_mean:.5f} in the mean, {like.cosine_min:.5f} at worst"
    yield f"difference: {like.mean_abs:.4g} in the mean, {like.max_abs:.4g} at most"


def _worst(found: Comparison, one: Worst) -> tuple[object, ...]:
    def name(k: int | None) -> object:
        return found.labels[k] if k is not None and found.labels else k

    return one.sample, name(one.a), name(one.b), name(one.true), f"{one.apart:.4g}"


def _tensors(found: Comparison) -> str:
    layers = sorted(found.tensors or (), key=lambda layer: -layer.error)[:_TENSORS]
    rows = [
        (layer.operator, layer.name[-48:], f"{layer.error:.1%}", f"{layer.cosine:.5f}")
        for layer in layers
    ]
    total = len(found.tensors or ())
    head = f"tensors that differ most, of {total} that both have"
    return f"{head}\n{table(('OPERATOR', 'TENSOR', 'ERROR', 'COSINE'), rows)}"

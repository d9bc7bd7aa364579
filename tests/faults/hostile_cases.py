"""Which hostile model comes next: the n-th one of a seed is always the same."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from faults import hostile_bytes, hostile_crafted, hostile_edits, hostile_graph, hostile_sources
from faults.hostile_sources import Source
from littoral.bundle.manifest import (
    FORMAT,
    File,
    Manifest,
    Requires,
    Selftest,
    Tensor,
    Tolerance,
    Variant,
)
from simulators.served import HARDWARE

LARGER_EVERY: Final = 50  # a mutant of a real model, where there is one


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Case:
    """A model with what its manifest says of it, all of it correctly signed."""

    number: int
    family: str
    source: Source
    data: bytes
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    golden: tuple[bytes, bytes]
    test: dict[str, Any] = field(default_factory=dict)  # other fields of the self-test

    def __str__(self) -> str:
        return f"{self.number} ({self.family} of {self.source.name})"

    @property
    def files(self) -> dict[str, bytes]:
        inputs, outputs = self.golden
        return {"model.tflite": self.data, "inputs.bin": inputs, "outputs.bin": outputs}

    def manifest(self, model: str, release: int) -> Manifest:
        """Return what is signed of it under this name."""
        test: dict[str, Any] = {"count": 4, "tolerance": TOLERANCE, **self.test}
        requires = Requires(hardware=(HARDWARE,))
        return Manifest(
            format=FORMAT,
            model=model,
            release=release,
            label=f"{self.number}",
            task="classification",
            inputs=self.inputs,
            outputs=self.outputs,
            files={
                name: File(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
                for name, data in self.files.items()
            },
            variants=(
                Variant(id="cpu", engine="tflite", files=("model.tflite",), requires=requires),
            ),
            selftest=Selftest(inputs="inputs.bin", outputs="outputs.bin", **test),
        )


def case(seed: int, number: int) -> Case:
    chance = Random(f"{seed}:{number}")
    larger = hostile_sources.larger()
    some = larger if larger and number % LARGER_EVERY == 0 else hostile_sources.small()
    source = chance.choice(some)
    family = chance.choices(list(FAMILIES), _WEIGHTS)[0]
    honest = Case(
        number=number,
        family=family,
        source=source,
        data=source.data,
        inputs=source.inputs,
        outputs=source.outputs,
        golden=source.golden,
    )
    return FAMILIES[family][1](honest, chance)


def _model(change: Callable[[bytes, Random], bytes]) -> Callable[[Case, Random], Case]:
    return lambda case, chance: replace(case, data=change(case.data, chance))


def spliced(case: Case, chance: Random) -> Case:
    """The head of one model and the rest of another."""
    other = chance.choice(hostile_sources.small())
    at = chance.randrange(min(len(case.data), len(other.data)))
    return replace(case, data=case.data[:at] + other.data[at:])


def agreeing(case: Case, chance: Random) -> Case:
    """A border that is wrong, and a manifest that says the same of it."""
    for _ in range(100):
        root = hostile_graph.unpacked(case.data)
        sub, which = root.subgraphs[0], chance.choice(("inputs", "outputs"))
        at = chance.randrange(len(getattr(sub, which)))
        tensor, spec = sub.tensors[int(getattr(sub, which)[at])], getattr(case, which)[at]
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            changed = _bent(tensor, spec, chance)
            specs = list(getattr(case, which))
            specs[at] = changed
            ins, outs = (
                (tuple(specs), case.outputs) if which == "inputs" else (case.inputs, tuple(specs))
            )
            return replace(case, data=hostile_graph.packed(root), inputs=ins, outputs=outs)
    raise RuntimeError("a hundred borders, and none that can be written")


def _bent(tensor: Any, spec: Tensor, chance: Random) -> Tensor:
    quantized = spec.scale != 0
    match chance.randrange(4 if quantized else 2):
        case 0:
            dims = list(spec.shape)
            dims[chance.randrange(len(dims))] = chance.choice((2, 3, 1000, 2**20, 2**31 - 1))
            tensor.shape = dims
            return replace(spec, shape=tuple(dims))
        case 1:
            number, name = chance.choice(((0, "float32"), (2, "int32"), (3, "uint8"), (9, "int8")))
            tensor.type = number
            return replace(spec, dtype=name)  # type: ignore[arg-type]
        case 2:
            scale = chance.choice((1e-30, 1e-3, 0.5, 1e30))
            tensor.quantization.scale = [scale]
            return replace(spec, scale=scale)
        case _:
            zero_point = chance.choice((0, 5, -129, 2**31 - 1))
            tensor.quantization.zeroPoint = [zero_point]
            return replace(spec, zero_point=zero_point)


def golden(case: Case, chance: Random) -> Case:
    """An honest model, and golden vectors that do not fit it."""
    given, wanted = case.golden
    match chance.randrange(4):
        case 0:
            other = hostile_bytes.flipped(wanted, chance)
            return replace(case, golden=(given, other))
        case 1:
            return replace(case, golden=(wanted, given))
        case 2:
            return replace(case, golden=(given, wanted[: chance.randrange(len(wanted))]))
        case _:
            count = chance.choice((0, 1, 3, 5, 8, 2**31, 2**62, -1))
            return replace(case, test={"count": count})


def manifest(case: Case, chance: Random) -> Case:
    """An honest model, and a manifest that says something else of it."""
    specs = list(case.outputs)
    match chance.randrange(3):
        case 0:
            low = chance.choice((1.0, 1.5, -1.0, 0.0))
            far = chance.choice((0.0, -1.0, 1e-300, 0.01))
            return replace(case, test={"tolerance": Tolerance(max_abs=far, min_top1=low)})
        case 1:
            edges = (1, 9, 2**16, 2**31 - 1)
            dims = tuple(chance.choice(edges) for _ in range(chance.randrange(6)))
            specs[0] = replace(specs[0], shape=dims)
        case _:
            specs[0] = replace(
                specs[0],
                scale=chance.choice((0.0, 1e-320, 1e300, -1.0, 0.5)),
                zero_point=chance.choice((0, -129, 2**31, -(2**63), 2**63 - 1)),
            )
    return replace(case, outputs=tuple(specs))


TOLERANCE: Final = Tolerance(max_abs=0.01)
FAMILIES: Final[dict[str, tuple[float, Callable[[Case, Random], Case]]]] = {
    "truncated": (4, _model(hostile_bytes.truncated)),
    "flipped": (16, _model(hostile_bytes.flipped)),
    "overwritten": (16, _model(hostile_bytes.overwritten)),
    "moved": (8, _model(hostile_bytes.moved)),
    "broken": (16, _model(hostile_bytes.broken)),
    "spliced": (2, spliced),
    "edited": (26, _model(hostile_edits.edited)),
    "agreeing": (4, agreeing),
    "golden": (3, golden),
    "manifest": (2, manifest),
    "endless": (0.15, _model(hostile_crafted.endless)),
    "endless_on_zeros": (0.3, _model(hostile_crafted.endless_on_zeros)),
    "recursive": (1.6, _model(hostile_crafted.recursive)),
    "huge": (1.0, _model(hostile_crafted.huge)),
    "beyond": (0.4, _model(hostile_crafted.beyond)),
}
_WEIGHTS: Final = [weight for weight, _ in FAMILIES.values()]

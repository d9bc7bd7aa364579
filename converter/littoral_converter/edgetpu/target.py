"""The target ``edgetpu`` of a conversion: the INT8 model compiled, beside its twin for the CPU.

Without the compiler there is the prediction, and how to get the compiler. The twin stays whatever
happens: a compiled model runs nowhere without its Edge TPU.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral.bundle.manifest import Requires, Variant
from littoral.sizes import size
from littoral_converter import check, graph
from littoral_converter.edgetpu import compiler, log, mapping, predict
from littoral_converter.edgetpu.compiler import Job, Made, Output
from littoral_converter.edgetpu.mapping import Mapping
from littoral_converter.targets.wanted import EdgeTpu as Wanted
from littoral_converter.workshop import Workshop

VARIANT: Final = "edgetpu-int8"
MODEL: Final = "model-int8-edgetpu.tflite"
MISSING: Final = (
    f"{compiler.PROGRAM} is not on the path: install Coral's package edgetpu-compiler on an "
    "x86-64 Linux machine (docs/conversion.md says how), and run the same command there"
)
_SHOWN: Final = 3  # kinds of operators in a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTpu:
    """What became of the target; ``file`` is None where nothing was compiled."""

    mapping: Mapping
    compiler: str | None = None  # its version
    file: str | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    about: EdgeTpu
    model: bytes | None
    operators: dict[str, int]  # those that the processor runs beside it, by name the version


def build(shop: Workshop, int8: bytes, wanted: Wanted) -> Built:
    """Compile ``int8`` where the compiler is, else predict.

    Raises:
        ConversionError: The compiler is there, and makes nothing of it.

    """
    if compiler.find() is None:
        about = EdgeTpu(mapping=mapping.of(graph.read(int8)))
        return Built(about=about, model=None, operators={})
    place = shop.folder / "edgetpu"
    place.mkdir()
    twin = place / "model.tflite"
    twin.write_bytes(int8)
    made, ((path, found),) = compile_models(shop, (twin,), wanted, folder=place)
    data = path.read_bytes()
    about = EdgeTpu(
        mapping=found,
        compiler=made.version,
        file=MODEL,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    return Built(about=about, model=data, operators=check.read(data).versions)


def compile_models(
    shop: Workshop,
    models: tuple[Path, ...],
    wanted: Wanted,
    *,
    folder: Path,
    segments: int = 1,
) -> tuple[Made, tuple[tuple[Path, Mapping], ...]]:
    """Leave in ``folder`` what the compiler makes of ``models``; return where, and how it maps.

    Raises:
        ConversionError: It makes nothing of them.

    """
    job = Job(
        models=models,
        folder=folder,
        min_runtime=wanted.min_runtime,
        segments=segments,
        search=wanted.search,
        timeout_s=wanted.timeout_s,
    )
    made = shop.do("edgetpu", job, Made, name="compile for the Edge TPU")
    twins = {model.name: graph.read(model.read_bytes()) for model in models}
    found = []
    for output in made.outputs:
        compiled = graph.read((folder / output.file).read_bytes())
        # A segment is a part of the model: what it was made of is in no file.
        twin = twins[output.model] if segments == 1 else None
        found.append((folder / output.file, _told(mapping.of(compiled, twin=twin), output)))
    return made, tuple(found)


def _told(found: Mapping, output: Output) -> Mapping:
    """Return ``found`` with what the compiler itself said, which is right where we only guess."""
    reasons = {name: list(words) for name, words in found.reasons.items()}
    if output.statuses:
        reasons = {n: [w for w in words if w != predict.UNTOLD] for n, words in reasons.items()}
    for status in output.statuses:
        if status.operator in reasons and status.words != log.MAPPED:
            reasons[status.operator].insert(0, f"the compiler says: {status.words}")
    return dataclasses.replace(
        found,
        mapped=found.mapped if output.mapped is None else output.mapped,
        reasons={name: tuple(words) or (predict.UNTOLD,) for name, words in reasons.items()},
    )


def variant(built: Built, cpu: Requires) -> Variant:
    """Return the variant in ``built``, which has a model, beside one that requires ``cpu``."""
    return Variant(
        id=VARIANT,
        engine="tflite",
        delegate="edgetpu",
        files=(MODEL,),
        requires=dataclasses.replace(
            cpu, hardware=("edgetpu-usb", "edgetpu-pcie"), operators=built.operators
        ),
    )


def warnings(about: EdgeTpu) -> Iterator[str]:
    """Yield what is worth knowing of it."""
    found = about.mapping
    total = (found.mapped or 0) + found.left
    if about.file is None:
        yield (
            f"no Edge TPU variant was made: {MISSING}; of {total} operators an Edge TPU would run "
            f"{found.mapped}, as predicted"
        )
    if found.left:
        often = sorted(found.cpu.items(), key=lambda item: -item[1])
        words = [f"{count} {name} ({found.reasons[name][0]})" for name, count in often[:_SHOWN]]
        more = f", and {len(often) - _SHOWN} kinds more" if len(often) > _SHOWN else ""
        yield (
            f"{found.left} of {total} operators stay on the processor beside an Edge TPU: "
            f"{', '.join(words)}{more}"
        )
    if found.streamed_bytes:
        yield (
            f"{size(found.streamed_bytes)} of parameters do not fit on the Edge TPU, and are sent "
            "to it for each inference"
        )

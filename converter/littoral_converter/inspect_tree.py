"""An inspection as a tree that people read. Names in it may be a stranger's: only shown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from littoral.sizes import size
from littoral_converter.edgetpu.mapping import Mapping
from littoral_converter.inspection import BundleSeen, Inspection, Port, Seen


@dataclass(frozen=True, slots=True)
class Node:
    text: str
    below: list["Node"] = field(default_factory=list)


def draw(node: Node) -> str:
    """Return ``node`` and what is below it, a line each."""
    return "\n".join([_shown(node.text), *_below(node, "")])


def _below(node: Node, indent: str) -> Iterator[str]:
    for k, one in enumerate(node.below):
        last = k == len(node.below) - 1
        yield f"{indent}{'└── ' if last else '├── '}{_shown(one.text)}"
        yield from _below(one, indent + ("    " if last else "│   "))


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def of_bundle(seen: BundleSeen) -> Node:
    said = "" if seen.label == str(seen.release) else f" ({seen.label})"
    head = (
        f"{seen.model}:{seen.release}{said}  {seen.task}, bundle of {len(seen.variants)} variants"
    )
    return Node(head, [_variant(one) for one in seen.variants])


def _variant(seen: Seen) -> Node:
    engine = seen.engine if seen.delegate is None else f"{seen.engine} with {seen.delegate}"
    head = f"variant {seen.id}  {engine}, for {', '.join(seen.hardware)}"
    return Node(head, [of_file(seen.inspection) if seen.inspection else Node(seen.file)])


def of_file(found: Inspection) -> Node:
    integer = "fully integer" if found.fully_integer else "not fully integer"
    parts = "" if found.subgraphs == 1 else f", {found.subgraphs} subgraphs"
    return Node(
        f"{found.file}  {size(found.bytes)}, {integer}{parts}",
        [
            Node("inputs", [Node(_port(port)) for port in found.inputs]),
            Node("outputs", [Node(_port(port)) for port in found.outputs]),
            _operators(found),
            _weights(found),
            _edgetpu(found.edgetpu),
            Node("to run it", [Node(words) for words in _needs(found)]),
        ],
    )


def _port(port: Port) -> str:
    scaled = f"  scale {port.scale:.6g}, zero point {port.zero_point}" if port.scale else ""
    return f"{port.name or '(without a name)'}  {port.dtype} {list(port.shape)}{scaled}"


def _operators(found: Inspection) -> Node:
    often = sorted(found.operators.items(), key=lambda item: (-item[1], item[0]))
    versions = found.needs.versions

    def line(name: str, count: int) -> str:
        version = f"  version {versions[name]}" if name in versions else "  custom"
        return f"{count:>4} {name}{version}"

    total = sum(found.operators.values())
    return Node(f"operators: {total}", [Node(line(name, count)) for name, count in often])


def _weights(found: Inspection) -> Node:
    total = sum(one.bytes for one in found.weights.values())
    lines = [
        f"{dtype}  {one.elements:,} in {one.tensors} tensors, {size(one.bytes)}"
        for dtype, one in sorted(found.weights.items(), key=lambda item: -item[1].bytes)
    ]
    return Node(f"constants: {size(total)}", [Node(line) for line in lines])


def _edgetpu(found: Mapping) -> Node:
    if found.source == "predicted":
        return Node(
            f"Edge TPU, predicted: {found.mapped} operators mapped, {found.left} on the processor",
            list(_left(found)),
        )
    mapped = "an unknown number of" if found.mapped is None else str(found.mapped)
    facts = [
        f"runtime version {found.min_runtime_version} or later",
        f"{size(found.cached_bytes or 0)} of parameters stay on the chip",
        f"{size(found.streamed_bytes or 0)} of parameters are sent for each inference",
        f"caching token {', '.join(found.tokens) or 'none'}",
    ]
    return Node(
        f"Edge TPU, compiled: {mapped} operators mapped, {found.left} on the processor",
        [*map(Node, facts), *_left(found)],
    )


def _left(found: Mapping) -> Iterable[Node]:
    for name, count in found.cpu.items():
        reasons = found.reasons.get(name, ())
        yield Node(f"{count:>4} {name} on the processor", [Node(words) for words in reasons])


def _needs(found: Inspection) -> Iterator[str]:
    needs = found.needs
    for name in needs.custom:
        if name == "edgetpu-custom-op":
            yield f"an Edge TPU, and libedgetpu of runtime version {needs.edgetpu_runtime} or later"
        elif name.startswith("Flex"):
            yield f"TensorFlow's Flex delegate, which has {name}"
        else:
            yield f"the library that brings {name}"
    if needs.runtime is not None:
        yield f"TFLite {needs.runtime} or later, says the file"
    if needs.unknown_here is None:
        yield "no LiteRT is installed here"
    elif needs.unknown_here:
        short = ", ".join(
            f"{name} {needs.versions[name]} (it has {had or 'none'})"
            for name, had in needs.unknown_here.items()
        )
        yield f"a later LiteRT than the one here, for {short}"
    else:
        but = " but the custom ones" if needs.custom else ""
        yield f"LiteRT; the one here knows all its operators{but}"

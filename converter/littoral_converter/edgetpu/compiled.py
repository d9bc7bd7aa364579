"""What the Edge TPU compiler put into a graph, as one: littoral.model.compiled reads it."""

from dataclasses import dataclass

from littoral.model.compiled import OPERATOR, Package, package
from littoral_converter.graph import Graph

__all__ = ["OPERATOR", "Facts", "Package", "facts", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The packages of a file as one."""

    parts: int
    min_runtime_version: int
    cached_bytes: int
    streamed_bytes: int
    tokens: tuple[int, ...]
    compiler: str


def read(graph: Graph) -> tuple[Package, ...]:
    """Return the packages in ``graph``; none where it was not compiled.

    Raises:
        MalformedError: An operator holds something else than a package.

    """
    held = [o.custom_options for s in graph.subgraphs for o in s.operators if o.name == OPERATOR]
    return tuple(map(package, held))


def facts(packages: tuple[Package, ...]) -> Facts:
    """Return what holds for a file with ``packages``, at least one."""
    tokens = dict.fromkeys(p.token for p in packages if p.token)
    return Facts(
        parts=len(packages),
        min_runtime_version=max(p.min_runtime_version for p in packages),
        cached_bytes=sum(p.cached_bytes for p in packages),
        streamed_bytes=sum(p.streamed_bytes for p in packages),
        tokens=tuple(tokens),
        compiler=packages[0].compiler,
    )

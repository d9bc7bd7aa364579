"""Which operators of a SavedModel touch files, networks or Python.

A SavedModel is a program. Followed is all that loading it and asking one signature would run, and
where that does more than compute it is refused. How it keeps its variables is not followed:
nothing here runs that.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from littoral.errors import ConversionError

_TOUCHING: Final = re.compile(
    r"(Eager)?PyFunc(Stateless)?|(Read|Write)File|MatchingFiles|\w*Reader\w*|\w*Dataset\w*"
    r"|(Make|OneShot|Multi)?\w*Iterator\w*|Save(Slices|V2)?|Restore(Slice|V2)?|MergeV2Checkpoints"
    r"|LMDB\w*|RemoteCall|(Try)?Rpc\w*|_?(Host)?(Recv|Send)|\w*Summary\w*|LoadLibrary|Print(V2)?"
    r"|InitializeTableFromTextFile\w*|TRTEngineOp|XlaLaunch\w*|Abort"
)
_STARTED: Final = ("_initialize", "_create_resource", "_destroy_resource")  # by the loader
_INIT: Final = "__saved_model_init_op"


def check(name: str, meta: Any, signature: str) -> None:  # noqa: ANN401
    """Do nothing if loading ``meta``, a MetaGraphDef, and asking ``signature`` only computes.

    Raises:
        ConversionError: It does more; says what.

    """
    found = sorted({op for op in _ops(meta, signature) if _TOUCHING.fullmatch(op)})
    if found:
        raise ConversionError(
            f"{name}: its graph has {', '.join(found)}: operators that touch files, networks or "
            "Python; a model from a file may only compute, so export it without them"
        )


def _ops(meta: Any, signature: str) -> Iterator[str]:  # noqa: ANN401
    nodes = {node.name: node for node in meta.graph_def.node}
    functions = {f.signature.name: f for f in meta.graph_def.library.function}
    # Nodes of the graph itself by name, and whole functions: each is looked at once.
    waiting = [(name, True) for name in _named_nodes(meta, signature)]
    waiting += [(name, False) for name in _started(meta)]
    seen: set[tuple[str, bool]] = set()
    while waiting:
        at = waiting.pop()
        name, in_graph = at
        if at in seen:
            continue
        seen.add(at)
        if in_graph and name in nodes:
            yield nodes[name].op
            waiting += [(_node(source), True) for source in nodes[name].input]
            waiting += [(called, False) for called in _called([nodes[name]])]
        elif not in_graph and name in functions:
            body = functions[name].node_def
            yield from (node.op for node in body)
            waiting += [(called, False) for called in _called(body)]


def _node(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _named_nodes(meta: Any, signature: str) -> Iterator[str]:  # noqa: ANN401
    for key in (signature, _INIT):
        if key in meta.signature_def:
            yield from (_node(t.name) for t in meta.signature_def[key].outputs.values())
    for key in ("saved_model_main_op", "legacy_init_op"):
        if key in meta.collection_def:
            yield from (_node(name) for name in meta.collection_def[key].node_list.value)


def _started(meta: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the functions that loading calls."""
    objects = meta.object_graph_def.nodes
    wanted = [c.node_id for o in objects for c in o.children if c.local_name in _STARTED]
    for one in objects:
        for kept in one.saveable_objects.values():
            wanted += [kept.save_function, kept.restore_function]
    for index in wanted:
        if 0 < index < len(objects):
            yield from objects[index].function.concrete_functions
            yield objects[index].bare_concrete_function.concrete_function_name


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        for value in node.attr.values():
            if value.func.name:
                yield value.func.name
            yield from (function.name for function in value.list.func)

"""A model's graph as a report keeps it: which operator feeds which, and where each would run."""

from dataclasses import dataclass
from typing import Final

from littoral_converter.edgetpu import predict
from littoral_converter.edgetpu.compiled import OPERATOR
from littoral_converter.graph import Graph, Subgraph

MOST: Final = 600  # of a larger graph nothing is drawn: nobody would find anything in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator, in the order they run; ``inputs`` are places in that order."""

    operator: str
    output: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    floats: bool  # it takes or gives floating point
    left: str | None = None  # why an Edge TPU would not run it; None: it would, or was not asked


def of(model: Graph, *, edgetpu: bool, compiled: Graph | None = None) -> tuple[Node, ...]:
    """Return the nodes of ``model``; ``compiled`` is what an Edge TPU's compiler made of it.

    What works on constants alone (weights that are made floats again) is done once and is no node.
    """
    main = model.main
    flows = _flows(main)
    if len(flows) > MOST:
        return ()
    left = _left(model, compiled) if edgetpu else {}
    maker = {k: n for n, i in enumerate(flows) for k in main.operators[i].outputs}
    every = ((i, main.operators[i]) for i in flows)
    return tuple(
        Node(
            operator=operator.name,
            output=_name(main, operator.outputs),
            shape=main.tensors[operator.outputs[0]].shape if operator.outputs else (),
            inputs=tuple(dict.fromkeys(maker[k] for k in operator.inputs if k in maker)),
            floats=any(
                main.tensors[k].dtype.startswith(("float", "complex"))
                for k in (*operator.inputs, *operator.outputs)
                if k >= 0
            ),
            left=left.get(i),
        )
        for i, operator in every
    )


def _flows(graph: Subgraph) -> tuple[int, ...]:
    """Return the operators that what comes in flows through."""
    wet, found = set(graph.inputs), []
    for i, operator in enumerate(graph.operators):
        if not wet.isdisjoint(operator.inputs):
            wet.update(operator.outputs)
            found.append(i)
    return tuple(found)


def _left(model: Graph, compiled: Graph | None) -> dict[int, str]:
    """Return why each operator that stays on the processor does; what was compiled says which."""
    predicted = {one.index: one.reason for one in predict.predict(model).left}
    if compiled is None:
        return predicted
    remains = {
        _name(compiled.main, o.outputs) for o in compiled.main.operators if o.name != OPERATOR
    }
    outputs = [_name(model.main, o.outputs) for o in model.main.operators]
    return {
        i: predicted.get(i, predict.UNTOLD) for i, name in enumerate(outputs) if name in remains
    }


def _name(graph: Subgraph, outputs: tuple[int, ...]) -> str:
    return graph.tensors[outputs[0]].name if outputs else ""

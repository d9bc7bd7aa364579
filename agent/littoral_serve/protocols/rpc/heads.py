"""The head that would say over HTTP what a ModelInfer says, so that both are read as one. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


def head(request: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the head of ``request``, whose inputs are ``inputs``: outputs come as raw bytes."""
    return {
        "id": request.get("id", ""),
        "parameters": {**parameters(request), "binary_data_output": True},
        "inputs": list(inputs),
        "outputs": [
            {"name": one.get("name", ""), "parameters": parameters(one)}
            for one in request.get("outputs", [])
        ],
    }


def parameters(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of parameters, of whichever type each is."""
    held = where.get("parameters", {})
    return {name: next(iter(value.values()), None) for name, value in held.items()}

"""The fields of a head of the Open Inference Protocol: each is of the type that it has to be.

What is not is the client's mistake, in Triton's words. Knows no model.
"""

from collections.abc import Mapping
from typing import Any

from littoral_serve.running.refusals import InvalidArgumentError


def objects(where: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = where.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _unreadable(key)
    return value


def parameters(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said beside the rest of ``where``, mostly nothing."""
    value = where.get("parameters", {})
    if not isinstance(value, dict):
        raise _unreadable("parameters")
    return value


def text(where: Mapping[str, Any], key: str) -> str:
    value = where.get(key)
    if not isinstance(value, str):
        raise _unreadable(key)
    return value


def flag(where: Mapping[str, Any], key: str, *, default: bool = False) -> bool:
    value = where.get(key, default)
    if not isinstance(value, bool):
        raise _unreadable(key)
    return value


def number(where: Mapping[str, Any], key: str) -> int:
    """Return a number from 0 on; 0 where it is not said."""
    value = where.get(key, 0)
    if type(value) is not int or not 0 <= value < 2**63:
        raise _unreadable(key)
    return value


def timeout_ns(where: Mapping[str, Any]) -> int | None:
    """Return what a client waits at most, by its ``timeout`` in µs; None where it says none."""
    return number(where, "timeout") * 1000 or None


def name(where: Mapping[str, Any]) -> str | None:
    """Return what a client calls its request, if it names it."""
    return text(where, "id") if "id" in where else None


def _unreadable(key: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"Unable to parse '{key}'")

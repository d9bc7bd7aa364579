"""Plain values (of JSON or TOML) into frozen dataclasses and back, strictly.

What crosses a border is read here, once: an unknown field, a missing one, one of the
wrong kind and a key that stands twice are refused with the place where they stand.
Known kinds: str, int, float, bool, Path, enums, Literal, ``X | None``, ``int | Literal``,
tuple[X, ...], dict[str, X] and other dataclasses. A record that has rules of its own states them in
``__post_init__`` by raising ValueError; the place is added here.
"""

import dataclasses
import enum
import json
import math
import types
import typing
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class RecordError(ValueError):
    """What is wrong, and where; the border that reads turns it into its own error."""


def parse_json(data: bytes, *, limit: int) -> Any:  # noqa: ANN401
    """Return the value in ``data``, at most ``limit`` bytes of JSON, no key twice in an object.

    Raises:
        RecordError: It is too long, no JSON in UTF-8, says a key twice, or says what another
            program could not keep: a number beyond 64 bits, half a character.

    """
    if len(data) > limit:
        raise RecordError(f"expected at most {limit} bytes, found {len(data)}")
    try:
        value = json.loads(
            data.decode(),  # of bytes it would guess that they are UTF-16, too
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_int64,
        )
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
        return value  # noqa: TRY300
    except RecordError:
        raise
    except (ValueError, RecursionError) as e:
        raise RecordError(f"expected JSON, found something else: {e}") from e


def from_json(cls: type[T], data: bytes, *, limit: int) -> T:
    """Return the ``cls`` that ``to_json`` wrote."""
    return fill(cls, parse_json(data, limit=limit))


def to_json(record: object) -> bytes:
    """Return ``record`` as canonical JSON: sorted keys, no spaces, the same on every machine."""
    return json.dumps(
        plain(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def plain(value: Any) -> Any:  # noqa: ANN401
    """Return ``value`` as JSON has it; a field of the value None is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: plain(found) for name, found in fields if found is not None}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [plain(found) for found in value]
    return value


def fill(cls: type[T], value: Any, where: str = "") -> T:  # noqa: ANN401
    """Return ``value``, an object of JSON or a table of TOML, as a ``cls``.

    Raises:
        RecordError: A field is unknown, missing, of the wrong kind, or against the record's rules.

    """
    if not isinstance(value, Mapping):
        raise RecordError(f"{where or cls.__name__}: expected an object, found {_show(value)}")
    fields, kinds = _fields(typing.cast("Hashable", cls))
    for key in value.keys() - fields.keys():
        import difflib  # a device that starts has nothing to suggest

        near = difflib.get_close_matches(str(key), fields, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(fields)}"
        raise RecordError(f"no setting {_at(where, key)!r}; {hint}")
    filled = {key: _cast(kinds[key], found, _at(where, key)) for key, found in value.items()}
    for name, field in fields.items():
        if name not in value and field.default is field.default_factory is dataclasses.MISSING:
            if type(None) not in get_args(kinds[name]):
                raise RecordError(f"{_at(where, name)!r} is missing")
            filled[name] = None  # as plain() writes it
    try:
        return cls(**filled)
    except RecordError:
        raise
    except ValueError as e:
        raise RecordError(f"{where}: {e}" if where else str(e)) from e


@cache
def _fields(cls: Any) -> tuple[dict[str, "dataclasses.Field[Any]"], dict[str, Any]]:  # noqa: ANN401
    return {f.name: f for f in dataclasses.fields(cls)}, get_type_hints(cls)


def _at(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004


def _cast_one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:  # noqa: ANN401
    some = [kind for kind in kinds if kind is not type(None)]
    if value is None and len(some) < len(kinds):
        return None
    if isinstance(value, str):  # a word that stands for a number
        some.sort(key=_is_no_word)
    return _cast(some[0], value, where)


def _is_no_word(kind: Any) -> bool:  # noqa: ANN401
    origin: Any = get_origin(kind)
    return origin is not Literal


def _cast(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    origin = get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _cast_one_of(get_args(kind), value, where)
    if origin is Literal:
        if value not in get_args(kind):
            known = ", ".join(map(str, get_args(kind)))
            raise RecordError(f"{where!r} should be one of {known}, not {_show(value)}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise RecordError(f"{where!r} should be a list, not {_show(value)}")
        return tuple(_cast(get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin in (dict, Mapping) or getattr(origin, "__name__", "") == "Mapping":
        if not isinstance(value, Mapping):
            raise RecordError(f"{where!r} should be an object, not {_show(value)}")
        return {str(k): _cast(get_args(kind)[1], v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return fill(typing.cast("type[Any]", kind), value, where)
    return _scalar(kind, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(str(member.value) for member in kind)
            raise RecordError(f"{where!r} should be one of {known}, not {_show(value)}") from None
    if kind is Path and isinstance(value, str):
        return Path(value)
    if type(value) is int and not _within_64_bits(value):
        raise RecordError(f"{where!r}: {_show(value)} needs more than 64 bits")
    if kind is float and type(value) is int:
        return float(value)
    if kind is Any:
        return value
    if type(value) is not kind:
        raise RecordError(f"{where!r} should be {kind.__name__}, not {_show(value)}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RecordError(f"a key stands twice in {_show([key for key, _ in pairs])}")
    return found


def _no_constant(name: str) -> float:
    raise RecordError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise RecordError(f"{_show(digits)} is too great a number")
    return value


def _int64(digits: str) -> int:
    value = int(digits)
    if not _within_64_bits(value):
        raise RecordError(f"{digits} needs more than 64 bits")
    return value


def _within_64_bits(value: int) -> bool:
    return -(2**63) <= value < 2**63

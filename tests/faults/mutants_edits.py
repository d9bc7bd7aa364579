"""What is done to a file of JSON: bytes, values, and text that only careless parsers take."""

import json
from random import Random
from typing import Any, Final

_JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63 - 1,
    -(2**63),
    0.5,
    1e300,
    "",
    "x",
    "\0",
    "\u00e9\U0001f980",
    "../../x",
    "a/b",
    "2100-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "2100-01-01",
    "9999-12-31T23:59:59Z",
    "root",
    "targets",
    "digits",
    "ed25519",
    "rsa",
    "0" * 64,
    "f" * 128,
    "A" * 70_000,
    [],
    {},
    [[]],
    {"": None},
    {"a": {"b": {}}},
)
# What stands for itself and not for what json.dumps would write.
_TEXTS: Final = (
    "NaN",
    "-Infinity",
    "1e400",
    "-0",
    "1.0",
    "1E2",
    "9" * 5000,
    "9" * 30,
    "18446744073709551616",
    "[" * 100_000 + "]" * 100_000,
    "[" * 900 + "]" * 900,
    '{"a":' * 20_000 + "1" + "}" * 20_000,
    '{"a":1,"a":2}',
    '"\\ud800"',
    '"\\u0000"',
    '"\t"',
    "'x'",
    "0x10",
    "01",
    "tru",
    "",
    '"unended',
    "/* */ 1",
)
_MARK: Final = "\u2056mark\u2056"


def spoiled(data: bytes, chance: Random) -> bytes:
    """Bytes turned, cut out, doubled, put in, or the end of the file lost."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(6):
            case 0 | 1 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 2:
                del found[at : at + chance.randrange(1, 40)]
            case 3:
                found[at:at] = found[at : at + chance.randrange(1, 40)]
            case 4:
                found[at:at] = chance.randbytes(chance.randrange(1, 5))
            case _:
                del found[at:]
    if chance.random() < 0.02:
        found += b" " * chance.choice((100_000, 6_000_000))
    return bytes(found)


def edited(value: Any, chance: Random) -> Any:
    """Return ``value`` with something in it replaced, gone, doubled, or with something beside."""
    whole: Any = {"": json.loads(json.dumps(value))}
    for _ in range(chance.choice((1, 1, 1, 2))):
        _edit(whole, chance)
    return whole.get("")


def _edit(whole: Any, chance: Random) -> None:
    if not whole:
        return  # all of it is gone already
    parent, key = _somewhere(whole, chance)
    match chance.randrange(6):
        case 0 | 1 | 2:
            parent[key] = chance.choice(_JUNK) if chance.random() < 0.6 else _near(parent[key])
        case 3:
            del parent[key]
        case 4 if isinstance(parent, dict) and parent is not whole:
            parent[chance.choice(("x", "version", "keys", "\u00e9", "_type"))] = chance.choice(
                _JUNK
            )
        case 5 if isinstance(parent, list):
            parent += [chance.choice((parent[key], chance.choice(_JUNK)))] * chance.choice((1, 50))
        case _:
            other, name = _somewhere(whole, chance)
            parent[key] = json.loads(json.dumps(other[name]))


def _near(value: Any) -> Any:
    """Return something of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value[:-1] + ("0" if value[-1:] != "0" else "1")
        case list():
            return value[::-1]
        case _:
            return value


def _somewhere(whole: Any, chance: Random) -> tuple[Any, Any]:
    parent, key = whole, next(iter(whole), "")
    at = whole.get(key)
    while isinstance(at, dict | list) and at and chance.randrange(6):
        parent, key = at, chance.choice(sorted(at) if isinstance(at, dict) else range(len(at)))
        at = parent[key]
    return parent, key


def texted(value: Any, chance: Random) -> bytes:
    """Return ``value`` as text that no careful parser takes, or takes as something else."""
    whole: Any = {"": json.loads(json.dumps(value))}
    match chance.randrange(5):
        case 0 | 1 | 2:
            parent, key = _somewhere(whole, chance)
            parent[key] = _MARK
            text = json.dumps(whole.get(""), ensure_ascii=False)
            return text.replace(f'"{_MARK}"', chance.choice(_TEXTS)).encode()
        case 3:
            parent, key = _somewhere(whole, chance)
            if not isinstance(parent, dict) or parent is whole:
                return json.dumps(value).encode() + chance.choice((b"x", b"\0", b"{}"))
            held = json.dumps(parent[key])
            parent[_MARK] = chance.choice((parent[key], chance.choice(_JUNK)))
            text = json.dumps(whole[""], ensure_ascii=False)
            return text.replace(_MARK, key).encode() if held else b""
        case _:
            encoding = chance.choice(("utf-8-sig", "utf-16", "utf-32", "utf-7"))
            return json.dumps(value, ensure_ascii=False).encode(encoding, errors="replace")

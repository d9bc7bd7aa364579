"""Which devices are meant: ``all``, a device's name, or ``site=berlin and not hardware=coral``.

    selector  = either { "or" either }
    either    = term { "and" term }
    term      = "not" term | "(" selector ")" | word ("=" | "!=") word | word

A word alone is a device's name, or ``all``. Keys that every device has stand in ``KEYS``;
any other is one of its labels. ``hardware`` takes a name or a family of names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from littoral.errors import MisuseError
from littoral_console.queries import Device

Predicate = Callable[[Device], bool]

KEYS: Final = ("id", "hardware", "software", "online", "model", "release")
WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
FAMILIES: Final = {
    "coral": ("edgetpu-usb", "edgetpu-pcie"),
    "jetson": ("cuda", "tensorrt"),
    "cpu": ("cpu-x86_64", "cpu-aarch64", "cpu-armv7l"),
}
_TOKEN = re.compile(rf"\s*(?:(!=|=|\(|\))|({WORD.pattern}))")
_KEYWORDS: Final = ("and", "or", "not")
_DEEPEST: Final = 32


def parse(text: str) -> Predicate:
    """Return what says of a device whether ``text`` means it. Raises MisuseError."""
    parser = _Parser(text, _split(text))
    found = parser.either_or()
    if parser.at != len(parser.tokens):
        raise parser.wrong()
    return found


def _split(text: str) -> list[str]:
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise MisuseError(f"selector {text!r}: {text[at:].strip()[:1]!r} means nothing here")
        tokens.append(found[1] or found[2])
        at = found.end()
    return tokens


@dataclass(slots=True)
class _Parser:
    text: str
    tokens: list[str]
    at: int = 0
    depth: int = 0

    def either_or(self) -> Predicate:
        terms = [self._both_and()]
        while self._take("or"):
            terms.append(self._both_and())
        return terms[0] if len(terms) == 1 else lambda d: any(term(d) for term in terms)

    def _both_and(self) -> Predicate:
        terms = [self._term()]
        while self._take("and"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda d: all(term(d) for term in terms)

    def _term(self) -> Predicate:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise MisuseError(f"selector {self.text!r}: nested too deep")
        try:
            if self._take("not"):
                inner = self._term()
                return lambda d: not inner(d)
            if self._take("("):
                found = self.either_or()
                if not self._take(")"):
                    raise self.wrong()
                return found
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Predicate:
        key = self._word()
        if self._take("="):
            return _equals(key, self._word())
        if self._take("!="):
            inner = _equals(key, self._word())
            return lambda d: not inner(d)
        return (lambda _: True) if key == "all" else (lambda d: d.id == key)

    def _word(self) -> str:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if WORD.fullmatch(token) and token not in _KEYWORDS:
                self.at += 1
                return token
        raise self.wrong()

    def _take(self, token: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def wrong(self) -> MisuseError:
        found = repr(self.tokens[self.at]) if self.at < len(self.tokens) else "its end"
        return MisuseError(
            f"selector {self.text!r}: did not expect {found}; "
            "write all, a device's name, or as 'site=berlin and not hardware=coral'"
        )


def _equals(key: str, value: str) -> Predicate:
    if key not in KEYS:
        return lambda d: d.labels.get(key) == value
    match key:
        case "hardware":
            names = FAMILIES.get(value, (value,))
            return lambda d: any(name in names for name in d.hardware)
        case "online":
            return lambda d: d.online == (value in {"true", "yes"})
        case "model":
            return lambda d: any(value == m.model and m.release is not None for m in d.models)
        case "release":
            return lambda d: any(value == f"{m.model}:{m.release}" for m in d.models)
        case _:
            return lambda d: value == (d.id if key == "id" else d.software)

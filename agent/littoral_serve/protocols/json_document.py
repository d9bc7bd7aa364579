"""A JSON document of TensorFlow Serving's calls: its text, what all calls may say, its errors.

The messages are TensorFlow Serving's, because its users know them and their programs may too.
"""

import json
from typing import Any, Final

import orjson

from littoral_serve.running.refusals import InvalidArgumentError

LARGE: Final = 256 * 1024  # bytes of a body that keeps others waiting while it is read
_SHOWN: Final = 256  # characters of a value in an error
_WORDS: Final = {  # of Python's decoder, as RapidJSON says it
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma or } after an object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
}
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG", b"BM")  # how their files begin
_PART: Final = b"content-disposition: form-data"  # at the beginning of each part of a form
_FIRST: Final = 512  # bytes
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG: Final = b"0" * 19  # what may not fit in 64 bits
_TYPES: Final = {
    type(None): "Null",
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
}


def is_picture(data: bytes) -> bool:
    """Tell whether ``data`` looks like a picture's file, where something else was expected."""
    return data.startswith(_PICTURES)


def parse(body: bytes) -> dict[str, Any]:
    """Return the object in ``body``. Raises InvalidArgumentError."""
    if not body:
        raise InvalidArgumentError("JSON Parse error: The document is empty")
    document = _quickly(body) if len(body) > LARGE else None
    if document is None:
        document = _carefully(body)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"{shown(document)} Is not object")
    return document


def _quickly(body: bytes) -> Any:  # noqa: ANN401
    """Return the document in ``body``; None where the careful way must tell what it is.

    Python's decoder lets no other thread run meanwhile, and takes five times as long; this one
    takes more memory.
    """
    if _LONG in body.translate(_DIGITS):
        return None  # of such a number this decoder makes a float, and errors quote it
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _carefully(body: bytes) -> Any:  # noqa: ANN401
    """Return the document in ``body``, which may hold NaN. Raises InvalidArgumentError."""
    try:
        text = body.decode()
        # What follows the document is not looked at, as there.
        document, _ = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except json.JSONDecodeError as e:
        words = _WORDS.get(e.msg, "Invalid value.")
        raise InvalidArgumentError(f"JSON Parse error: {words} at offset: {e.pos}") from e
    except RecursionError as e:
        raise InvalidArgumentError("JSON Parse error: too deeply nested") from e
    except ValueError as e:
        raise InvalidArgumentError(
            f"JSON Parse error: Invalid value. at offset: 0{hint(body)}"
        ) from e
    return document


def hint(body: bytes) -> str:
    """Return what is to be done about bytes that are no text."""
    if is_picture(body):
        return "; this is a picture: say so, Content-Type: image/jpeg"
    if body.startswith(b"--") and _PART in body[:_FIRST].lower():
        return "; this is a form: a picture's file is the whole body (curl: --data-binary, not -F)"
    return ""


def signature_name(document: dict[str, Any]) -> str:
    """Return the signature that is asked; empty: the default one. Raises InvalidArgumentError."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise InvalidArgumentError(
            f"{shown(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def is_base64(value: Any) -> bool:  # noqa: ANN401
    """Tell whether ``value`` is an object that stands for bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def kind(value: Any) -> str:  # noqa: ANN401
    """Return what RapidJSON calls the type of ``value``."""
    return str(value) if isinstance(value, bool) else _TYPES[type(value)]


def shown(value: Any) -> str:  # noqa: ANN401
    """Return ``value`` as errors quote it."""
    return f"JSON Value: {quoted(value)}"


def quoted(value: Any) -> str:  # noqa: ANN401
    """Return the beginning of ``value`` as JSON."""
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += part
        if len(text) > _SHOWN:
            return text[:_SHOWN]
    return text

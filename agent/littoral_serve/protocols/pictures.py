"""What all of HTTP shares about pictures: a body that is one, and an answer that comes later."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.protocols.apart import Refuse
from littoral_serve.running.live import Live
from littoral_serve.running.pictures import Look, Pictures
from littoral_serve.running.refusals import InvalidArgumentError, RefusalError
from littoral_serve.running.sights import Wish

if TYPE_CHECKING:
    from littoral_serve.protocols.examples import Example

Columns = Mapping[str, Array]

FEATURE: Final = "image/encoded"  # of an example, as TensorFlow's datasets call a picture's file
_KINDS: Final = b"image/"
_MOST: Final = 1000  # classes or objects


def is_picture(request: Request) -> bool:
    """Tell whether the body is a picture's file; of which kind, the file says itself."""
    return request.headers.get(b"content-type", b"")[: len(_KINDS)].lower() == _KINDS


def encoded(examples: Sequence["Example"]) -> list[bytes] | None:
    """Return the pictures of a classify request; None where it brings numbers.

    Raises:
        InvalidArgumentError: Not each of its examples is one picture.

    """
    if not any(FEATURE in example for example in examples):
        return None
    files = []
    for example in examples:
        feature = example.get(FEATURE)
        if feature is None or feature.kind != "bytes" or len(feature.values) != 1:
            raise InvalidArgumentError(
                f"Feature: {FEATURE} (data type: string) is required once in each example"
            )
        files.append(feature.values[0])
    return files


def classes(columns: Columns) -> list[list[tuple[str, float]]]:
    """Return each picture's classes. Raises InvalidArgumentError: the task is another."""
    if "scores" not in columns:
        raise InvalidArgumentError("Expected a model that classifies; predict asks any other")
    return [
        [(text.decode(), score) for text, score in zip(texts, scores, strict=True)]
        for texts, scores in zip(columns["classes"], columns["scores"].tolist(), strict=True)
    ]


def wish(request: Request) -> Wish:
    """Return what is asked behind the path: ``?top=3&threshold=0.5``.

    Raises:
        InvalidArgumentError: It is something else.

    """
    query = request.target.decode("latin-1").partition("?")[2]
    return wished(dict(parse_qsl(query, keep_blank_values=True)))


def wished(given: Mapping[str, object]) -> Wish:
    """Return what ``top`` and ``threshold`` of ``given`` ask. Raises InvalidArgumentError."""
    top, threshold = given.get("top"), given.get("threshold")
    most = None if top is None else _number(top)
    least = None if threshold is None else _number(threshold)
    if most is not None and (not 1 <= most <= _MOST or most % 1):
        raise InvalidArgumentError(f"top: expected a number from 1 to {_MOST}, found {top}")
    if least is not None and not 0 <= least <= 1:
        raise InvalidArgumentError(f"threshold: expected a number from 0 to 1, found {threshold}")
    return Wish(most=None if most is None else int(most), least=least)


def look(
    pictures: Pictures,
    live: Live,
    files: Sequence[bytes],
    *,
    request: Request,
    timeout_ns: int,
    wish: Wish,
    write: Callable[[Columns], Response],
    refuse: Refuse,
) -> Later:
    """Return the response to come: what ``write`` makes of the answer, or ``refuse`` of an error.

    Raises:
        RefusalError: It can be refused at once.

    """
    later = Later()
    one = Look(
        live,
        files,
        then=partial(_answer, later, write, refuse),
        arrived_ns=request.arrived_ns,
        deadline_ns=request.arrived_ns + timeout_ns,
        wish=wish,
    )
    later.on_left = one.leave
    pictures.submit(one)
    return later


def _answer(
    later: Later,
    write: Callable[[Columns], Response],
    refuse: Refuse,
    one: Look,
) -> None:
    try:
        later.give(write(one.columns()))
    except (RefusalError, BackendError) as e:
        later.give(refuse(e))


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan

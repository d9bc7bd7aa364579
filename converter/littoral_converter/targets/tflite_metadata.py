"""TFLite Metadata: what a model says of itself to Android's and iOS's task libraries.

A small flatbuffer of the public schema (identifier M001, fields of version 1.0.0) inside the model,
and the files it names as a ZIP archive behind the model, uncompressed: parsers of models never look
beyond their flatbuffer, and parsers of archives begin at the end.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

NAME: Final = b"TFLITE_METADATA"
_IDENTIFIER: Final = b"M001"
_PARSER: Final = "1.0.0"
_LABELS: Final = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
_FEATURE, _IMAGE = 1, 2  # the union ContentProperties
_NORMALIZATION: Final = 1  # the union ProcessUnitOptions
_COLOURS: Final = {"RGB": 1, "GRAYSCALE": 2}
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # an archive's earliest: the same bytes every time

_Field = tuple[Literal["offset", "byte", "uint"], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A tensor that holds a picture."""

    height: int
    width: int
    colours: Literal["RGB", "GRAYSCALE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One input or output. ``mean`` and ``std`` are of pixels, one a channel or one for all."""

    name: str
    description: str = ""
    picture: Picture | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    least: tuple[float, ...] = ()
    greatest: tuple[float, ...] = ()
    labels: str | None = None  # the name of the file with the labels of its last axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    name: str
    version: str
    description: str
    author: str
    license: str
    input: About
    output: About


def encode(model: Model) -> bytes:
    """Return the flatbuffer that says ``model``."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    inputs = _vector(builder, [_tensor(builder, model.input)])
    outputs = _vector(builder, [_tensor(builder, model.output)])
    graph = _table(builder, {2: ("offset", inputs), 3: ("offset", outputs)})
    fields = {
        0: _text(builder, model.name),
        1: _text(builder, model.description),
        2: _text(builder, model.version),
        3: _vector(builder, [graph]),
        4: _text(builder, model.author),
        5: _text(builder, model.license),
        7: _text(builder, _PARSER),
    }
    root = _table(builder, {slot: ("offset", value) for slot, value in fields.items()})
    builder.Finish(root, file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def append(model: bytes, files: Mapping[str, bytes]) -> bytes:
    """Return ``model`` with ``files`` behind it, where tasks look for them."""
    if not files:
        return model
    held = io.BytesIO(model)
    with zipfile.ZipFile(held, "a") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return held.getvalue()


def _tensor(builder: Any, about: About) -> int:  # noqa: ANN401
    fields: dict[int, _Field] = {
        0: ("offset", _text(builder, about.name)),
        1: ("offset", _text(builder, about.description)),
        3: ("offset", _content(builder, about.picture)),
    }
    if about.std:
        mean, std = _numbers(builder, about.mean), _numbers(builder, about.std)
        normal = _table(builder, {0: ("offset", mean), 1: ("offset", std)})
        unit = _table(builder, {0: ("byte", _NORMALIZATION), 1: ("offset", normal)})
        fields[4] = ("offset", _vector(builder, [unit]))
    if about.least:
        greatest, least = _numbers(builder, about.greatest), _numbers(builder, about.least)
        fields[5] = ("offset", _table(builder, {0: ("offset", greatest), 1: ("offset", least)}))
    if about.labels is not None:
        name = _text(builder, about.labels)
        file = _table(builder, {0: ("offset", name), 2: ("byte", _LABELS)})
        fields[6] = ("offset", _vector(builder, [file]))
    return _table(builder, fields)


def _content(builder: Any, picture: Picture | None) -> int:  # noqa: ANN401
    if picture is None:
        return _table(builder, {0: ("byte", _FEATURE), 1: ("offset", _table(builder, {}))})
    size = _table(builder, {0: ("uint", picture.width), 1: ("uint", picture.height)})
    properties = _table(builder, {0: ("byte", _COLOURS[picture.colours]), 1: ("offset", size)})
    return _table(builder, {0: ("byte", _IMAGE), 1: ("offset", properties)})


def _table(builder: Any, fields: Mapping[int, _Field]) -> int:  # noqa: ANN401
    """Write a table of ``fields`` by their slot in the schema; None is left out."""
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, (kind, value) in fields.items():
        match kind, value:
            case _, None:
                pass
            case "offset", offset:
                builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
            case "byte", number:
                builder.PrependUint8Slot(slot, number, 0)
            case "uint", number:
                builder.PrependUint32Slot(slot, number, 0)
    return int(builder.EndObject())


def _text(builder: Any, text: str) -> int | None:  # noqa: ANN401
    return int(builder.CreateString(text)) if text else None


def _vector(builder: Any, offsets: list[int]) -> int:  # noqa: ANN401
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _numbers(builder: Any, numbers: tuple[float, ...]) -> int:  # noqa: ANN401
    builder.StartVector(4, len(numbers), 4)
    for number in reversed(numbers):
        builder.PrependFloat32(number)
    return int(builder.EndVector())

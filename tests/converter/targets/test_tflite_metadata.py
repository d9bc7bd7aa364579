"""TFLite Metadata: what the public schema reads in it, and files that lie behind a model."""

import io
import struct
import zipfile

from littoral_converter.targets import tflite_metadata
from littoral_converter.targets.tflite_metadata import About, Model, Picture

MODEL = Model(
    name="visitors",
    version="2026.11",
    description="Who rings.",
    author="Doorbells & Co.",
    license="Apache-2.0",
    input=About(
        name="image",
        picture=Picture(height=96, width=64, colours="RGB"),
        mean=(127.5, 120.0, 110.0),
        std=(60.0, 61.0, 62.0),
    ),
    output=About(name="visitor", labels="labels.txt"),
)


class Table:
    """A table of a flatbuffer, read by the format's rules and nothing of ours."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.fields = at - struct.unpack_from("<i", data, at)[0]

    def slot(self, number: int) -> int | None:
        size = struct.unpack_from("<H", self.data, self.fields)[0]
        place = 4 + 2 * number
        offset = struct.unpack_from("<H", self.data, self.fields + place)[0] if place < size else 0
        return self.at + offset if offset else None

    def _follow(self, number: int) -> int:
        at = self.slot(number)
        assert at is not None, number
        return int(at + struct.unpack_from("<I", self.data, at)[0])

    def table(self, number: int) -> "Table":
        return Table(self.data, self._follow(number))

    def tables(self, number: int) -> list["Table"]:
        at = self._follow(number)
        (count,) = struct.unpack_from("<I", self.data, at)
        places = [at + 4 + 4 * k for k in range(count)]
        return [Table(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in places]

    def text(self, number: int) -> str:
        at = self._follow(number)
        (size,) = struct.unpack_from("<I", self.data, at)
        return self.data[at + 4 : at + 4 + size].decode()

    def floats(self, number: int) -> tuple[float, ...]:
        at = self._follow(number)
        (count,) = struct.unpack_from("<I", self.data, at)
        return struct.unpack_from(f"<{count}f", self.data, at + 4)

    def number(self, number: int, kind: str) -> int:
        at = self.slot(number)
        return 0 if at is None else int(struct.unpack_from(kind, self.data, at)[0])


def read(model: Model) -> Table:
    data = tflite_metadata.encode(model)
    assert data[4:8] == b"M001"
    return Table(data, struct.unpack_from("<I", data)[0])


def test_the_model_says_who_it_is() -> None:
    root = read(MODEL)
    assert [root.text(k) for k in (0, 1, 2, 4, 5, 7)] == [
        "visitors", "Who rings.", "2026.11", "Doorbells & Co.", "Apache-2.0", "1.0.0",
    ]  # fmt: skip


def test_a_picture_has_its_size_colours_and_normalization() -> None:
    (graph,) = read(MODEL).tables(3)
    (source,) = graph.tables(2)
    content = source.table(3)
    assert content.number(0, "<B") == 2  # ImageProperties
    properties = content.table(1)
    assert properties.number(0, "<b") == 1  # RGB
    size = properties.table(1)
    assert (size.number(0, "<I"), size.number(1, "<I")) == (64, 96)  # width, height
    (unit,) = source.tables(4)
    assert unit.number(0, "<B") == 1  # NormalizationOptions
    assert unit.table(1).floats(0) == (127.5, 120.0, 110.0)
    assert unit.table(1).floats(1) == (60.0, 61.0, 62.0)


def test_classes_are_named_by_a_file_of_labels() -> None:
    (graph,) = read(MODEL).tables(3)
    (answer,) = graph.tables(3)
    assert answer.table(3).number(0, "<B") == 1  # FeatureProperties
    (file,) = answer.tables(6)
    assert (file.text(0), file.number(2, "<b")) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS


def test_files_lie_behind_the_model_uncompressed_and_the_same_every_time() -> None:
    model = b"\x1c\0\0\0TFL3" + bytes(1000)
    made = tflite_metadata.append(model, {"labels.txt": b"cat\ndog"})
    assert made.startswith(model)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        (one,) = archive.infolist()
        assert (one.filename, one.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
        assert archive.read(one) == b"cat\ndog"
    assert made == tflite_metadata.append(model, {"labels.txt": b"cat\ndog"})
    assert tflite_metadata.append(model, {}) == model

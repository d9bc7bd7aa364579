"""Names that a model's own file brings, as TFLite Metadata."""

import io
import struct
import tracemalloc
import zipfile
from typing import Any

import pytest

pytest.importorskip("flatbuffers")
pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated as schema

from littoral.model import metadata
from littoral.model.flatbuffer import Table
from littoral_converter.targets import tflite_metadata
from littoral_converter.targets.tflite_metadata import About, Model
from simulators.edgetpu_compiled import packed
from simulators.served import model

NAMES = ("zero", "one", "two")


def told(labels: str | None = "names.txt") -> bytes:
    """Return a model with metadata that name ``labels``, as the converter writes them."""
    about = Model(
        name="digits",
        version="1",
        description="",
        author="",
        license="",
        input=About(name="x"),
        output=About(name="y", labels=labels),
    )
    return bearing(tflite_metadata.encode(about))


def bearing(about: bytes) -> bytes:
    made = schema.ModelT.InitFromPackedBuf(model("tiny_int8"), 0)
    buffer, named = schema.BufferT(), schema.MetadataT()
    buffer.data = list(about)
    made.buffers.append(buffer)
    named.name, named.buffer = tflite_metadata.NAME.decode(), len(made.buffers) - 1
    made.metadata = [*(made.metadata or []), named]
    return packed(made)


def zipped(model: bytes, **files: str) -> bytes:
    held = {f"{name}.txt": text.encode() for name, text in files.items()}
    return tflite_metadata.append(model, held)


def test_the_file_that_metadata_name_is_read() -> None:
    found = metadata.labels_of(zipped(told(), words="not these", names="\n".join(NAMES)))
    assert found.names == NAMES


def test_who_names_no_file_or_brings_none_has_no_names() -> None:
    plain = model("tiny_int8")
    for data in (plain, zipped(plain, names="zero"), told(), zipped(told(), others="zero")):
        assert len(metadata.labels_of(data)) == 0
    assert len(metadata.labels_of(zipped(told(labels=None), names="zero"))) == 0


def test_what_is_damaged_names_nothing() -> None:
    """Cut anywhere, or with any byte of what counts changed, it is read or it is not."""
    whole = zipped(told(), names="\n".join(NAMES))
    end = len(whole)
    for at in range(end - 400, end):
        assert metadata.labels_of(whole[:at]).names in ((), NAMES)
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        metadata.labels_of(bytes(changed))
    front = whole.index(b"M001")
    for at in range(front - 4, front + 200):
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        metadata.labels_of(bytes(changed))


def test_an_archive_that_becomes_gigabytes_is_not_unpacked() -> None:
    held = io.BytesIO(told())
    with zipfile.ZipFile(held, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("names.txt", b"x" * 32 * 2**20)
    assert len(metadata.labels_of(held.getvalue())) == 0


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_what_no_writer_of_metadata_packs_so_is_not_unpacked(kind: int) -> None:
    """Ten kilobytes of it would take a gigabyte, and what is damaged ends in errors of its own."""
    held = io.BytesIO(told())
    with zipfile.ZipFile(held, "a", kind) as archive, archive.open("names.txt", "w") as file:
        for _ in range(12):
            file.write(bytes(2**20))
    data = held.getvalue()
    tracemalloc.start()
    try:
        assert len(metadata.labels_of(data)) == 0
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    for at in range(len(told()), len(data), 13):
        assert len(metadata.labels_of(data[:at] + b"\xff" + data[at + 1 :])) == 0


def test_an_archive_that_lists_names_without_end_is_not_read() -> None:
    count = 200_000
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    listed = entry * count
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count % 2**16, count % 2**16, len(listed), 0, 0)
    data = told() + listed + end
    assert len(zipfile.ZipFile(io.BytesIO(data)).infolist()) == count
    tracemalloc.start()
    try:
        assert len(metadata.labels_of(data)) == 0
        assert tracemalloc.get_traced_memory()[1] < 2 * metadata._MOST_BYTES
    finally:
        tracemalloc.stop()


def test_names_lie_behind_a_large_model_too() -> None:
    plain = told()
    large = zipped(plain + bytes(9 * 2**20), names="\n".join(NAMES))
    assert metadata.labels_of(large).names == NAMES


def endless(many: int) -> bytes:
    """Return metadata of so many graphs, each of so many outputs, and so on: all are the same."""
    made, tables, places = bytearray(b"\0\0\0\0M001"), [], []
    for field in (3, 3, 6, -1):  # the graphs, their outputs, the files of those; and nothing
        rows = struct.pack("<HH", 6 + 2 * field, 8) + bytes(2 * max(field, 0)) + b"\4\0"
        rows += bytes(-len(rows) % 4)
        tables.append(len(made) + len(rows))
        made += rows + struct.pack("<iII", len(rows), 4, many)
        places.append(len(made))
        made += bytes(4 * many)
    for place, table in zip(places, tables[1:], strict=False):
        for here in range(place, place + 4 * many, 4):
            struct.pack_into("<I", made, here, table - here)
    struct.pack_into("<I", made, 0, tables[0])
    return bytes(made)


def test_what_is_named_again_and_again_is_looked_at_some_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Entries may lead to the same table: some kilobytes say a thousand million files."""
    looked = 0
    number = Table.number

    def counted(table: Table, field: int, kind: str) -> Any:
        nonlocal looked
        looked += 1
        assert looked < 10**6
        return number(table, field, kind)

    monkeypatch.setattr(Table, "number", counted)
    assert len(metadata.labels_of(zipped(bearing(endless(1000)), others="zero"))) == 0
    assert looked > 10_000  # or nothing was tried

"""Names that a model's own file brings, as TFLite Metadata."""

import io
import zipfile

import pytest

pytest.importorskip("flatbuffers")
pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated as schema

from littoral.model import metadata
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
    made = schema.ModelT.InitFromPackedBuf(model("tiny_int8"), 0)
    buffer, named = schema.BufferT(), schema.MetadataT()
    buffer.data = list(tflite_metadata.encode(about))
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

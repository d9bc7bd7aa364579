"""What a compiled file asks of libedgetpu is read without a runtime, or refused."""

import struct
from pathlib import Path

import pytest

pytest.importorskip("flatbuffers")
pytest.importorskip("ai_edge_litert")

from littoral.errors import MalformedError
from littoral.model import probing
from littoral.model.compiled import OPERATOR, is_compiled, min_runtime_version
from littoral.model.flatbuffer import Table
from simulators.edgetpu_compiled import Package, compiled

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = (FIXTURES / "tiny_int8.tflite").read_bytes()


def test_the_version_that_the_compiler_asks_for_is_read() -> None:
    assert min_runtime_version(compiled(TINY, package=Package(runtime=13))) == 13
    assert min_runtime_version(compiled(TINY, left=[3], package=Package(runtime=14))) == 14


def test_what_was_not_compiled_asks_for_none() -> None:
    assert min_runtime_version(TINY) == 0
    probe = Path(probing.__file__).parent / "probes/edgetpu.tflite"
    assert min_runtime_version(probe.read_bytes()) == 0


def test_damage_is_refused_and_never_more_than_that() -> None:
    whole = compiled(TINY, package=Package(cached=16))
    refused = 0
    for at in range(0, len(whole), 3):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                min_runtime_version(data)
            except MalformedError:
                refused += 1
    assert refused > len(whole) // 6


def test_operators_that_are_all_the_same_are_not_looked_at_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of some kilobytes says that it has a million: as many graphs, each with as many."""
    many = 1000
    # Behind each table its vectors, and behind those what all their entries lead to.
    rows = struct.pack("<6H", 10, 12, 0, 4, 8, 0)
    root = struct.pack("<iII", len(rows), 8, 12) + struct.pack("<II", 1, 8 * many + 36)
    made = struct.pack("<I4s", 8 + len(rows), b"TFL3") + rows + root
    made += _vector(many, 12)
    made += struct.pack("<6H", 12, 8, 0, 0, 0, 4) + struct.pack("<iI", 12, 4) + _vector(many, 4)
    made += struct.pack("<HHi", 4, 4, 4) + OPERATOR.encode()
    looked = 0
    number = Table.number

    def counted(table: Table, field: int, kind: str) -> object:
        nonlocal looked
        looked += 1
        return number(table, field, kind)

    monkeypatch.setattr(Table, "number", counted)
    assert not is_compiled(made)
    assert many <= looked <= len(made)


def _vector(many: int, behind: int) -> bytes:
    """Return a vector whose entries all lead to what is so many bytes behind it."""
    entries = [4 * (many - k) + behind for k in range(many)]
    return struct.pack(f"<{many + 1}I", many, *entries)

"""What a compiled file asks of libedgetpu is read without a runtime, or refused."""

from pathlib import Path

import pytest

pytest.importorskip("flatbuffers")
pytest.importorskip("ai_edge_litert")

from littoral.errors import MalformedError
from littoral.model import probing
from littoral.model.compiled import min_runtime_version
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

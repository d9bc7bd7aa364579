"""Any .tflite file is read as values, and a damaged one is refused."""

from pathlib import Path

import pytest

from littoral.errors import MalformedError
from littoral_converter import check, graph

FIXTURES = Path(__file__).parents[1] / "fixtures"
CORAL = Path(__file__).parents[3] / "shared/models/coral"
FILES = sorted(FIXTURES.glob("*.tflite"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_read_with_its_border_and_its_constants(path: Path) -> None:
    data = path.read_bytes()
    found = graph.read(data)
    assert len(found.subgraphs) == 1
    assert found.main.inputs
    assert found.main.outputs
    assert len(found.main.operators) == sum(check.read(data).counts.values())
    assert all(not found.main.tensors[k].constant for k in found.main.inputs)
    assert any(tensor.constant for tensor in found.main.tensors)


def test_what_is_read_of_a_tensor_is_what_the_file_says() -> None:
    found = graph.read((FIXTURES / "tiny_int8.tflite").read_bytes())
    given = found.main.tensors[found.main.inputs[0]]
    assert given.dtype == "int8"
    assert given.shape[0] == 1
    assert len(given.scales) == len(given.zero_points) == 1
    assert not given.open


def test_a_damaged_file_is_refused_and_never_more_than_that() -> None:
    whole = (FIXTURES / "tiny_int8.tflite").read_bytes()
    refused = 0
    for at in range(8, min(len(whole), 4000), 7):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                graph.read(data)
            except MalformedError:
                refused += 1
    assert refused > 100


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(MalformedError, match="expected a TFLite model"):
        graph.read(b"PK\x03\x04....")


def test_a_file_that_names_more_than_it_could_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "_MOST", 20)
    with pytest.raises(MalformedError, match="more parts than any true one"):
        graph.read((FIXTURES / "tiny_int8.tflite").read_bytes())


@pytest.mark.skipif(not CORAL.is_dir(), reason="the collection of public models is not here")
def test_a_file_without_buffers_is_read() -> None:
    found = graph.read((CORAL / "model_invoking_error.tflite").read_bytes())
    assert [o.name for o in found.main.operators] == ["fake-op-double"]

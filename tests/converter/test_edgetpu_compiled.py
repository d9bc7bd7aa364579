"""A compiled package is read back, and what is none is refused."""

from pathlib import Path

import pytest

from littoral.errors import MalformedError
from littoral_converter import graph
from littoral_converter.edgetpu import compiled
from simulators.edgetpu_compiled import Package
from simulators.edgetpu_compiled import compiled as made

FIXTURES = Path(__file__).parents[1] / "fixtures"
CORAL = Path(__file__).parents[3] / "shared/models/coral"
TINY = (FIXTURES / "tiny_int8.tflite").read_bytes()


def test_what_the_compiler_wrote_is_read() -> None:
    package = Package(runtime=13, cached=5000, streamed=700, token=2**63 + 5)
    (found,) = compiled.read(graph.read(made(TINY, package=package)))
    assert found.min_runtime_version == 13
    assert found.cached_bytes == 5000
    assert found.streamed_bytes == 700
    assert found.token == 2**63 + 5
    assert found.chip == "beagle"
    assert found.compiler == "simulated"


def test_parameters_that_are_not_cached_are_streamed() -> None:
    (found,) = compiled.read(graph.read(made(TINY, package=Package(cached=0, streamed=9))))
    assert (found.cached_bytes, found.streamed_bytes) == (0, 9)


def test_a_file_that_was_not_compiled_holds_no_package() -> None:
    assert compiled.read(graph.read(TINY)) == ()


def test_a_damaged_package_is_refused_and_never_more_than_that() -> None:
    whole = Package(cached=50).options()
    refused = 0
    for at in range(len(whole)):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            one = graph.Operator(
                name=compiled.OPERATOR,
                version=1,
                inputs=(),
                outputs=(),
                custom=True,
                custom_options=data,
            )
            held = graph.Subgraph(tensors=(), operators=(one,), inputs=(), outputs=())
            try:
                compiled.read(graph.Graph(subgraphs=(held,)))
            except MalformedError:
                refused += 1
    assert refused > len(whole)


@pytest.mark.skipif(not CORAL.is_dir(), reason="the collection of public models is not here")
@pytest.mark.parametrize(
    ("name", "cached", "streamed"),
    [
        ("deeplabv3_mnv2_dm05_pascal_quant", 766720, 0),
        ("keras_lstm_mnist_ptq", 43968, 576),
        ("mobilenet_v1_0.25_128_quant", 566912, 0),
        ("mobilenet_v1_1.0_224_quant_embedding_extractor", 3363072, 0),
        ("movenet_single_pose_lightning_ptq", 2862656, 2368),
    ],
)
def test_public_packages_are_read(name: str, cached: int, streamed: int) -> None:
    (found,) = compiled.read(graph.read((CORAL / f"{name}_edgetpu.tflite").read_bytes()))
    assert found.min_runtime_version == 12
    assert (found.cached_bytes, found.streamed_bytes) == (cached, streamed)
    assert found.chip == "beagle"
    assert found.token

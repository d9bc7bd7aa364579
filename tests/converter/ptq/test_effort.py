import pytest

from converter.crops import SHARED
from littoral_converter.ptq import effort
from littoral_converter.ptq.network import Network

TINY_ML = SHARED / "models/mlperf_tiny"


@pytest.mark.skipif(not TINY_ML.exists(), reason="shared models are not here")
@pytest.mark.parametrize("name", ["resnet8_float32", "kws_ref_model_float32"])
def test_small_networks_get_all_steps(name: str) -> None:
    network = Network.read((TINY_ML / f"{name}.tflite").read_bytes())
    assert effort.steps(network) == effort.ALL


def test_a_large_one_gets_the_quick_ones(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    assert effort.steps(network) == effort.ALL
    monkeypatch.setattr(effort, "_PRODUCTS", 1_000)
    assert effort.steps(network) == effort.QUICK

import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq import linear, observe
from littoral_converter.ptq.network import Network


def test_patches_times_rows_are_what_litert_computes(
    network: Network, digits: NDArray[np.float32]
) -> None:
    """Convolutions of either padding and stride, in depth, and dense layers."""
    layers = list(linear.layers(network))
    assert {layer.op.kind for layer in layers} == {linear.CONV, linear.DEPTHWISE, linear.DENSE}
    names = {t: network.name(t) for layer in layers for t in (layer.input, layer.output)}
    held = observe.watch(network.write(), digits[:6], names.values())
    for layer in layers:
        x, y = held[names[layer.input]], held[names[layer.output]]
        at = np.arange(linear.places(network, layer, 6))
        taps = linear.patches(network, layer, x, at)
        made = linear.multiply(layer, taps, linear.rows(network, layer))
        made += linear.offsets(network, layer)
        top = {0: np.inf, 1: np.inf, 3: 6.0}[layer.op.options.fusedActivationFunction]
        low = 0 if layer.op.options.fusedActivationFunction else -np.inf
        assert np.allclose(np.clip(made, low, top), y.reshape(made.shape), atol=1e-5), names


def test_rows_are_put_back_as_they_were(network: Network) -> None:
    before = network.write()
    for layer in linear.layers(network):
        linear.set_rows(network, layer, linear.rows(network, layer))
    assert network.write() == before


def test_only_what_commutes_with_a_factor_is_scalable(network: Network) -> None:
    found = {
        layer.op.options.fusedActivationFunction: layer.scalable for layer in linear.layers(network)
    }
    assert found == {0: True, 1: True, 3: False}

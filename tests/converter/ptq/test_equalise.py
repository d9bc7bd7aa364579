import numpy as np
import pytest
from numpy.typing import NDArray

from littoral_converter.ptq import equalise, linear, observe
from littoral_converter.ptq.network import Network

Floats = NDArray[np.float32]


def uneven(network: Network) -> Network:
    """Make the depthwise layer's channels of very different size, exact in what follows."""
    made = network.copy()
    (layer,) = (la for la in linear.layers(made) if la.depthwise)
    factors = np.geomspace(0.02, 2, len(linear.rows(made, layer))).astype(np.float32)
    equalise._divide(made, layer, factors)
    return made


def seen(network: Network, samples: Floats) -> dict[int, Floats]:
    names = {network.name(t): t for t in network.activations}
    held = observe.survey(network.write(), samples, names)
    return {names[name]: s.values for name, s in held.items()}


def test_the_answers_stay_and_the_channels_come_to_one_size(
    network: Network, digits: Floats
) -> None:
    made = uneven(network)
    before, held = observe.answers(made.write(), digits[:50]), seen(made, digits[:50])
    assert equalise.equalise(made, held) >= 1
    assert np.allclose(observe.answers(made.write(), digits[:50]), before, atol=1e-5)
    (layer,) = (la for la in linear.layers(made) if la.depthwise)
    spread = [np.abs(v[layer.output]).max(axis=0) for v in (held, seen(made, digits[:50]))]
    wide, narrow = (float(s.max() / np.median(s)) for s in spread)
    assert narrow < wide


def test_the_ends_and_what_a_relu6_limits_are_left_alone(network: Network, digits: Floats) -> None:
    made = network.copy()
    equalise.equalise(made, seen(made, digits[:50]))
    fixed = [la for la in linear.layers(network) if not la.scalable]
    assert fixed
    held, now = seen(network, digits[:9]), seen(made, digits[:9])
    for tensor in (*network.inputs, *network.outputs, *(la.output for la in fixed)):
        assert np.allclose(held[tensor], now[tensor], atol=1e-5)


def test_a_sum_ties_its_channels(network: Network) -> None:
    (total,) = (
        op for op in network.ops if op.kind == "ADD" and len(network.shape(op.outputs[0])) == 4
    )
    ties = equalise._ties(network, tuple(linear.layers(network)))
    roots = {ties.root(t) for t in (*total.inputs, *total.outputs)}
    assert len(roots) == 1


def test_what_is_flattened_differently_cannot_share_factors() -> None:
    ties = equalise._Ties()
    for tensor in range(4):
        ties.root(tensor)
    ties.repeat(0, 1, 4)
    ties.tie(1, 2)
    assert ties.fixed == {1, 2}
    ties.tie(3, 2)
    assert {frozenset(group) for group in ties.groups()} == set()


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_any_factor_is_exact(
    network: Network, digits: Floats, monkeypatch: pytest.MonkeyPatch, power: float
) -> None:
    monkeypatch.setattr(equalise, "_POWERS", (power,))
    before = observe.answers(network.write(), digits[:50])
    assert equalise.equalise(network, seen(network, digits[:50])) >= 1
    assert np.allclose(observe.answers(network.write(), digits[:50]), before, atol=1e-4)

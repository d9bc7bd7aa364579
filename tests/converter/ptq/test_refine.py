import numpy as np
import pytest
from numpy.typing import NDArray

from littoral_converter.ptq import backend, judge, linear, observe, refine
from littoral_converter.ptq.backend import Plan
from littoral_converter.ptq.judge import Judge
from littoral_converter.ptq.network import Network

Floats = NDArray[np.float32]


@pytest.fixture
def ranges(network: Network, digits: Floats) -> dict[int, tuple[float, float]]:
    names = {network.name(t): t for t in network.activations}
    held = observe.survey(network.write(), digits[:200], names)
    return {names[n]: (min(s.low, 0), max(s.high, 0)) for n, s in held.items()}


def test_the_answers_come_nearer(
    network: Network, digits: Floats, ranges: dict[int, tuple[float, float]]
) -> None:
    ask = Judge.of(network.write(), digits[200:600])
    plain = ask.ask(backend.quantize(network, ranges))
    made = network.copy()
    refine.refine(made, network, digits[:200], ranges=ranges, plan=Plan(), how=refine.How())
    assert ask.ask(backend.quantize(made, ranges)).loss < 0.9 * plain.loss


def test_large_networks_are_done_in_a_few_waves(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = list(linear.layers(network))
    assert [len(wave) for wave in refine._waves(network, layers)] == [1] * len(layers)
    monkeypatch.setattr(refine, "_WORK", 1)
    monkeypatch.setattr(refine, "_WAVES", 2)
    assert [len(wave) for wave in refine._waves(network, layers)] == [3, 2]


def test_biases_alone_leave_the_grid_where_it_was(
    network: Network, digits: Floats, ranges: dict[int, tuple[float, float]]
) -> None:
    made = network.copy()
    how = refine.How(round_weights=False)
    refine.refine(made, network, digits[:200], ranges=ranges, plan=Plan(), how=how)
    plain, mended = (backend.quantize(n, ranges) for n in (network, made))
    first, second = Network.read(plain), Network.read(mended)
    # Reading gives the integers' real values: those of the weights are the same, biases moved.
    for op in network.ops:
        if op.kind == "CONV_2D":
            a, b = first.constant(op.inputs[1]), second.constant(op.inputs[1])
            assert a is not None
            assert b is not None
            assert np.allclose(a, b, rtol=1e-5)
    answers = [observe.answers(m, digits[200:600]) for m in (plain, mended)]
    reference = observe.answers(network.write(), digits[200:600])
    before, after = (np.abs((a - reference).mean(axis=0)).mean() for a in answers)
    assert after <= before * 1.05
    assert judge.compare(reference, answers[1]).agreement is not None


def test_what_stays_float_is_not_touched(
    network: Network, digits: Floats, ranges: dict[int, tuple[float, float]]
) -> None:
    made, first = network.copy(), network.ops[0]
    plan = Plan().but([first.index], "float")
    refine.refine(made, network, digits[:100], ranges=ranges, plan=plan, how=refine.How())
    kept, weights = made.constant(first.inputs[1]), network.constant(first.inputs[1])
    assert kept is not None
    assert weights is not None
    assert np.array_equal(kept, weights)


def test_a_model_without_weights_has_nothing_to_refine(network: Network) -> None:
    assert list(refine._waves(network, [])) == []

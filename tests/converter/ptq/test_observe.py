import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.errors import BackendError
from littoral_converter.ptq import observe
from littoral_converter.ptq.network import Network

Floats = NDArray[np.float32]


def test_a_survey_keeps_some_places_and_the_ends_of_all(
    network: Network, digits: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "_MOST", 60)
    convolved = network.name(network.ops[0].outputs[0])
    whole = observe.watch(network.write(), digits[:30], [convolved])[convolved]
    seen = observe.survey(network.write(), digits[:30], [convolved])[convolved]
    assert seen.values.shape == (60, 8)
    assert (seen.low, seen.high) == (whole.min(), whole.max())
    rows = {tuple(row) for row in whole.reshape(-1, 8)}
    assert all(tuple(row) in rows for row in seen.values)


def test_tensors_of_one_shape_are_looked_at_in_the_same_places(
    network: Network, digits: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "_MOST", 90)
    (total,) = (o for o in network.ops if o.kind == "ADD" and len(network.shape(o.inputs[0])) == 4)
    a, b, both = (network.name(t) for t in (*total.inputs, *total.outputs))
    seen = observe.survey(network.write(), digits[:30], [a, b, both])
    assert np.allclose(seen[a].values + seen[b].values, seen[both].values, atol=1e-6)


def test_an_invoke_takes_time(tiny: bytes, digits: Floats) -> None:
    assert 0 < observe.cpu_us(tiny, digits[:20]) < 100_000


def test_what_litert_refuses_is_told_in_our_words(tiny: bytes, digits: Floats) -> None:
    with pytest.raises(BackendError, match="LiteRT cannot run the model"):
        observe.answers(tiny, digits[:2, :4])
    with pytest.raises(BackendError, match="LiteRT cannot run the model"):
        observe.answers(b"nothing", digits[:2])

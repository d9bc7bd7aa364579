import numpy as np
import pytest

from littoral_converter.compress import masks


def weights(*shape: int, seed: int = 0) -> masks.Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.8, 0.99])
def test_of_each_layer_exactly_the_smallest_fall(sparsity: float) -> None:
    given = {"a": weights(10, 20), "b": 100 * weights(30, 5, seed=1)}
    for name, mask in masks.by_magnitude(given, sparsity, together=False).items():
        w = given[name]
        assert (mask == 0).sum() == round(sparsity * w.size)
        fallen, kept = np.abs(w)[mask == 0], np.abs(w)[mask == 1]
        assert fallen.max(initial=0) <= kept.min()


def test_all_together_the_layer_of_small_weights_falls_first_and_never_whole() -> None:
    given = {"large": weights(10, 10), "small": 1e-3 * weights(10, 10, seed=1)}
    found = masks.by_magnitude(given, 0.5, together=True)
    assert (found["large"] == 0).mean() <= 0.01
    assert found["small"].sum() >= 1


def test_equal_weights_fall_in_the_order_they_stand() -> None:
    (mask,) = masks.by_magnitude({"w": np.ones((4, 5), np.float32)}, 0.5, together=False).values()
    assert mask.ravel().tolist() == [0.0] * 10 + [1.0] * 10


def test_two_of_four_inputs_stay_for_each_output() -> None:
    given = {"w": weights(12, 7), "odd": weights(9, 7)}
    found = masks.two_of_four(given)
    assert found.keys() == {"w"}
    groups = found["w"].reshape(3, 4, 7)
    assert (groups.sum(axis=1) == 2).all()
    magnitudes = np.abs(given["w"]).reshape(3, 4, 7)
    least_kept = np.where(groups == 1, magnitudes, np.inf).min(axis=1)
    assert (least_kept >= np.where(groups == 0, magnitudes, 0).max(axis=1)).all()


def test_blocks_fall_whole_also_at_the_edge() -> None:
    (mask,) = masks.by_block({"w": weights(7, 10)}, 0.5, together=False, block=(2, 4)).values()
    assert mask.shape == (7, 10)
    for row in range(0, 7, 2):
        for column in range(0, 10, 4):
            assert len(np.unique(mask[row : row + 2, column : column + 4])) == 1
    assert 0.3 < (mask == 0).mean() < 0.7


def test_sparsity_grows_fast_then_slowly_then_not_at_all() -> None:
    due = [masks.ramp(done / 10, until=0.5) for done in range(11)]
    assert due[0] == 0
    assert due[5:] == [1.0] * 6
    steps = np.diff(due[:6])
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()
    assert masks.ramp(0.0, until=0.0) == 1.0

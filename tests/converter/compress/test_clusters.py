import numpy as np
import pytest

from littoral_converter.compress import clusters


@pytest.mark.parametrize("count", [2, 7, 16, 256])
def test_no_more_clusters_than_asked_for(count: int) -> None:
    w = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    found = clusters.assign(w, count)
    assert found.shape == w.shape
    assert len(np.unique(found)) <= count
    assert found.min() >= 1  # nothing is 0


def test_what_is_pruned_is_a_cluster_of_its_own_and_counts() -> None:
    w = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    w[np.abs(w) < 1] = 0
    found = clusters.assign(w, 8)
    assert ((found == 0) == (w == 0)).all()
    assert len(np.unique(found)) <= 8


def test_weights_that_lie_together_are_one() -> None:
    w = np.array([-5, -5.1, 0.1, 0.11, 3, 3.05], np.float32)
    found = clusters.assign(w, 3)
    assert [len(set(pair)) for pair in found.reshape(3, 2).tolist()] == [1, 1, 1]
    assert len(np.unique(found)) == 3


def test_no_choice_of_two_centres_errs_less() -> None:
    """Lloyd's rounds end where moving one border only makes it worse."""
    w = np.random.default_rng(3).normal(size=200).astype(np.float32)
    found = clusters.assign(w, 2)

    def error(of: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
        return float(w[of].var() * of.sum() + w[~of].var() * (~of).sum())

    ours = error(np.asarray(found == found.max()))
    others = [error(w > border) for border in np.sort(w)[1:-2]]
    assert ours <= min(others) * 1.001


def test_all_zero_is_one_cluster() -> None:
    assert not clusters.assign(np.zeros((3, 3), np.float32), 4).any()

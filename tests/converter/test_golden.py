from collections import Counter

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Tensor
from littoral.model import selftest
from littoral_converter import golden

rng = np.random.default_rng(5)


def answers(n: int = 500, classes: int = 10) -> NDArray[np.int8]:
    return rng.integers(-128, 128, (n, classes)).astype(np.int8)


def margins(stored: NDArray[np.int8]) -> NDArray[np.int64]:
    ordered = np.sort(stored.astype(np.int64), axis=1)
    return ordered[:, -1] - ordered[:, -2]


def test_every_class_is_covered() -> None:
    found = answers()
    chosen = golden.choose(found, count=32, ranked=True)
    assert len(chosen) == len(set(chosen.tolist())) == 32
    assert set(found[chosen].argmax(axis=1)) == set(range(10))
    assert max(Counter(found[chosen].argmax(axis=1).tolist()).values()) <= 7


def test_near_ties_are_in_but_none_that_one_rounding_step_would_turn() -> None:
    found = answers()
    chosen = golden.choose(found, count=32, ranked=True)
    near = sorted(int(m) for m in margins(found) if m >= 3)[:8]
    mine = sorted(int(m) for m in margins(found)[chosen])
    assert mine[:8] == near
    assert mine[0] >= 3


def test_the_choice_is_the_same_every_time() -> None:
    found = answers()
    first, again = (golden.choose(found, count=20, ranked=True) for _ in range(2))
    assert first.tolist() == again.tolist()


def test_few_samples_are_all_taken() -> None:
    assert golden.choose(answers(5), count=32, ranked=True).tolist() == [0, 1, 2, 3, 4]


def test_where_there_are_enough_clear_answers_no_other_is_taken() -> None:
    found = answers(200)
    found[::2] = found[::2].max(axis=1, keepdims=True) - rng.integers(0, 2, (100, 10), np.int8)
    assert (margins(found)[::2] < 3).all()
    assert (margins(found)[golden.choose(found, count=64, ranked=True)] >= 3).all()


def test_ties_are_taken_only_where_there_is_nothing_else() -> None:
    flat = np.zeros((40, 3), np.int8)
    assert len(golden.choose(flat, count=8, ranked=True)) == 8


def test_answers_that_are_no_ranking_are_spread_over_all_samples() -> None:
    chosen = golden.choose(answers(100), count=5, ranked=False)
    assert chosen.tolist() == [0, 24, 49, 74, 99]


def test_the_files_are_what_a_device_unpacks() -> None:
    samples = rng.random((50, 2, 2), dtype=np.float32)
    stored = answers(50, 3)
    spec = Tensor(name="x", shape=(1, 2, 2), dtype="int8", scale=1 / 255, zero_point=-128)
    out = Tensor(name="y", shape=(1, 3), dtype="int8", scale=1 / 256, zero_point=-128)
    made = golden.make(samples, stored, spec=spec, count=10, ranked=True)
    chosen = golden.choose(stored, count=10, ranked=True)
    inputs = selftest.unpack(made.inputs, [spec], count=made.count)
    outputs = selftest.unpack(made.outputs, [out], count=made.count)
    assert np.array_equal(np.concatenate([o for (o,) in outputs]), stored[chosen])
    expected = np.round(samples[chosen] * 255).astype(np.int64) - 128
    assert np.abs(np.concatenate([i for (i,) in inputs]).astype(np.int64) - expected).max() <= 1


def test_large_inputs_get_fewer_vectors_for_they_are_sent_to_every_device() -> None:
    assert golden.usual(64) == 32
    assert golden.usual(224 * 224 * 3) == 13
    assert golden.usual(1024 * 1024 * 3) == 8


def test_answers_in_floating_point_are_chosen_as_their_steps_would_be() -> None:
    rng = np.random.default_rng(3)
    stored = rng.integers(-128, 128, (300, 5)).astype(np.int8)
    real = stored.astype(np.float32) * np.float32(0.01)
    stored[0], real[0] = (-128, 127, 0, 0, 0), (-1.28, 1.27, 0, 0, 0)  # the whole range is there
    chosen = golden.choose(stored, count=32, ranked=True)
    assert np.array_equal(golden.choose(real, count=32, ranked=True), chosen)

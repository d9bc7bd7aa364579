import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
)

from littoral_converter import evaluate

rng = np.random.default_rng(3)
Y = rng.integers(0, 4, 200)
FLOAT = rng.random((200, 4), dtype=np.float32) + 2 * np.eye(4, dtype=np.float32)[Y]
INT8 = FLOAT + rng.normal(0, 0.9, FLOAT.shape).astype(np.float32)


def test_scores_are_those_of_scikit_learn() -> None:
    found = evaluate.score(FLOAT, INT8, Y, labels=("a", "b", "c", "d"))
    answers = INT8.argmax(axis=1)
    assert found.int8_accuracy == accuracy_score(Y, answers)
    assert found.float_accuracy == accuracy_score(Y, FLOAT.argmax(axis=1)) == 1.0
    assert found.drop == 1 - found.int8_accuracy > 0
    assert found.confusion == tuple(map(tuple, confusion_matrix(Y, answers).tolist()))
    theirs = precision_recall_fscore_support(Y, answers)
    ours = [(c.precision, c.recall, c.f1, c.support) for c in found.classes]
    assert np.allclose(np.array(ours).T, theirs)


def test_the_most_frequent_mistakes_come_first() -> None:
    y = np.array([0, 0, 0, 1, 2, 2])
    answered = np.eye(3, dtype=np.float32)[[0, 2, 2, 0, 2, 2]]
    found = evaluate.score(answered, answered, y, labels=("a", "b", "c")).mistakes
    assert [(m.true, m.answered, m.count) for m in found] == [("a", "c", 2), ("b", "a", 1)]


def test_the_matrix_of_very_many_classes_is_left_out() -> None:
    many = tuple(f"c{k}" for k in range(evaluate.MATRIX + 1))
    answered = np.eye(len(many), dtype=np.float32)
    found = evaluate.score(answered, answered, np.arange(len(many)), labels=many)
    assert found.confusion is None
    assert found.mistakes == ()
    assert len(found.classes) == len(many)


def test_very_many_classes_take_no_square_of_memory() -> None:
    names = tuple(map(str, range(30_000)))
    answers = np.zeros((3, len(names)), np.float32)
    answers[:, -1] = 1
    y = np.array([29_999, 0, 1])
    tracemalloc.start()
    try:
        found = evaluate.score(answers, answers, y, labels=names)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 500 * 2**20
    assert [(m.true, m.answered) for m in found.mistakes] == [("0", "29999"), ("1", "29999")]
    assert (found.classes[-1].precision, found.classes[-1].recall) == (1 / 3, 1.0)


def test_a_class_without_samples_has_no_figures() -> None:
    y, answers = np.array([0, 1]), np.eye(3, dtype=np.float32)[[0, 1]]
    empty = evaluate.score(answers, answers, y, labels=("a", "b", "c")).classes[2]
    assert (empty.support, empty.precision, empty.recall, empty.f1) == (0, None, None, None)


def test_a_true_class_that_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="found class 3; the model knows 0 to 2"):
        evaluate.score(INT8[:, :3], INT8[:, :3], Y, labels=("a", "b", "c"))


def test_likeness_of_equal_answers_is_whole() -> None:
    found = evaluate.likeness(FLOAT, FLOAT, ranked=True)
    assert found.agreement == 1
    assert found.cosine_min == pytest.approx(1)
    assert found.max_abs == found.mean_abs == 0


def test_likeness_tells_how_far_answers_lie_apart() -> None:
    a = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    b = np.array([[0.0, 1.0], [0.0, 0.5]], np.float32)
    found = evaluate.likeness(a, b, ranked=True)
    assert found.agreement == 0.5
    assert found.cosine_min == 0
    assert found.cosine_mean == 0.5
    assert found.max_abs == 1
    assert found.mean_abs == 2.5 / 4


def test_answers_that_are_no_ranking_have_no_agreement() -> None:
    assert evaluate.likeness(FLOAT, INT8, ranked=False).agreement is None


def test_the_mean_of_classes_is_scikit_learns_macro_average() -> None:
    found = evaluate.score(FLOAT, INT8, Y, labels=("a", "b", "c", "d")).int8_macro
    theirs = precision_recall_fscore_support(Y, INT8.argmax(axis=1), average="macro")
    assert (found.precision, found.recall, found.f1) == pytest.approx(theirs[:3])


def test_a_class_without_samples_counts_for_nothing_in_the_mean() -> None:
    answered = np.eye(3, dtype=np.float32)[[0, 1]]
    found = evaluate.rate(answered, np.array([0, 1]), labels=("a", "b", "never seen"))
    assert (found.accuracy, found.macro.f1) == (1.0, 1.0)


def test_errors_of_numbers_are_those_of_scikit_learn() -> None:
    true = rng.normal(size=(80, 1)).astype(np.float32)
    found = evaluate.regression(true, true + np.float32(0.5), true)
    assert found.float_errors.rmse == found.float_errors.mae == 0.0
    assert found.float_errors.r2 == 1.0
    worse = (true + rng.normal(0, 0.3, true.shape)).astype(np.float32)
    ours = evaluate.errors(worse, true)
    assert ours.mae == pytest.approx(mean_absolute_error(true, worse), rel=1e-5)
    assert ours.rmse == pytest.approx(mean_squared_error(true, worse) ** 0.5, rel=1e-5)
    assert ours.r2 == pytest.approx(r2_score(true, worse), rel=1e-5)
    assert found.int8_errors.bias == pytest.approx(0.5)
    assert evaluate.errors(worse, np.ones_like(true)).r2 is None
    with pytest.raises(ValueError, match="expected 1 numbers a sample"):
        evaluate.errors(worse, np.ones((80, 2), np.float32))

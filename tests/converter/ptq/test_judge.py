import numpy as np
import pytest

from littoral_converter.ptq import judge


def test_the_same_answers_lose_nothing() -> None:
    answers = np.array([[0.7, 0.3], [0.1, 0.9]], np.float32)
    verdict = judge.compare(answers, answers)
    assert (verdict.loss, verdict.agreement) == (0, 1)
    assert verdict.snr_db > 200


def test_probabilities_are_compared_as_such() -> None:
    sure = np.array([[0.99, 0.01]], np.float32)
    little = judge.compare(sure, np.array([[0.95, 0.05]], np.float32))
    wrong = judge.compare(sure, np.array([[0.4, 0.6]], np.float32))
    assert little.agreement == 1
    assert wrong.agreement == 0
    assert 0 < little.loss < 0.1 < wrong.loss


def test_other_answers_are_compared_by_their_noise() -> None:
    logits = np.array([[3.0, -4.0, 0.0]], np.float32)
    verdict = judge.compare(logits, logits * 1.1)
    assert verdict.loss == pytest.approx(0.01, rel=1e-3)
    assert verdict.snr_db == pytest.approx(20, abs=0.01)


def test_a_picture_has_no_largest_answer() -> None:
    picture = np.ones((2, 4, 4, 1), np.float32)
    assert judge.compare(picture, picture).agreement is None


def test_one_sample_that_went_wrong_is_chance_and_most_of_them_are_not() -> None:
    wanted = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    good = judge.compare(wanted, wanted + 0.1)
    unlucky, bad = wanted + 0.1, wanted + 0.1
    unlucky[7] += 1
    bad += np.linspace(0, 0.1, 40, dtype=np.float32)[:, None]
    assert judge.compare(wanted, unlucky).loss > good.loss
    assert not judge.compare(wanted, unlucky).worse(good)
    assert judge.compare(wanted, bad).worse(good)
    assert not good.worse(good)

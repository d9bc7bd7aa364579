from typing import Any

import pytest

from littoral.records import RecordError, fill
from littoral_converter.compress.wanted import Compress, Training


def test_a_step_knows_its_defaults() -> None:
    assert fill(Compress, {"step": "prune"}).fraction == 0.8
    assert fill(Compress, {"step": "prune", "structure": "2:4"}).fraction == 0.5
    assert fill(Compress, {"step": "qat"}).rate < fill(Compress, {"step": "prune"}).rate
    assert fill(Compress, {"step": "qat", "learning_rate": 0.5}).rate == 0.5


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"step": "shrink"}, "one of prune, cluster, qat, distill, fine-tune"),
        ({"step": "prune", "clusters": 4}, "a step prune has no clusters; it has: block, epochs"),
        ({"step": "fine-tune", "skip": ["a"]}, "a step fine-tune has no skip"),
        ({"step": "qat", "sparsity": 0.0}, "a step qat has no sparsity"),
        ({"step": "qat", "activations": False, "ramp": 0.0}, "a step qat has no ramp"),
        ({"step": "prune", "sparsity": 1.5}, "a fraction of 0 to 1, found 1.5"),
        ({"step": "prune", "sparsity": 1}, "nothing is left"),
        ({"step": "prune", "structure": "2:4", "sparsity": 0.8}, "2:4 is 0.5"),
        ({"step": "prune", "structure": "2:4", "scope": "global"}, "no scope, no ramp"),
        ({"step": "prune", "block": [1, 4]}, "only where structure = 'block'"),
        ({"step": "prune", "structure": "block", "block": [4]}, "[inputs, outputs], found [4]"),
        ({"step": "cluster", "clusters": 1}, "2 to 256, found 1"),
        ({"step": "distill"}, "needs one: the path of a trained Keras model"),
        ({"step": "distill", "teacher": "t.keras", "temperature": 0}, "more than 0, found 0"),
        ({"step": "prune", "epochs": 0}, "at least 1, found 0"),
        ({"step": "prune", "learning_rate": -1}, "more than 0, found -1"),
    ],
)
def test_a_wrong_step_says_what_is_wrong(step: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError) as caught:
        fill(Compress, step)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"epochs": 0}, "at least 1"),
        ({"validation": 0}, "between 0 and 1, found 0"),
        ({"validation": 1}, "between 0 and 1, found 1"),
        ({"max_drop": 2}, "a fraction of 0 to 1"),
        ({"seed": -1}, "at least 0"),
        ({"deadline_s": 0}, "more than 0"),
    ],
)
def test_a_wrong_training_says_what_is_wrong(training: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError) as caught:
        fill(Training, training)
    assert words in str(caught.value)

"""Pictures in TensorFlow Serving's JSON: which documents bring some, and what answers look like."""

import base64
from typing import Any

import numpy as np
import orjson
import pytest

from littoral.model.backends import Array
from littoral_serve.protocols import predict_pictures
from littoral_serve.running.refusals import InvalidArgumentError

FILE = {"b64": base64.b64encode(b"a file").decode()}


@pytest.mark.parametrize(
    "wrong",
    [
        {"instances": [{"image": FILE}]},
        {"instances": [{"image_bytes": FILE, "more": 1}]},
        {"instances": [{}]},
        {"instances": [7]},
        {"instances": 7},
        {"inputs": {"image": [FILE]}},
        {"instances": [{"b64": "&"}]},
        {"instances": [{"image_bytes": "text"}]},
        {"instances": [FILE], "inputs": [FILE]},
        {},
    ],
)
def test_what_brings_no_pictures_is_the_clients_mistake(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        predict_pictures.read(wrong)


def written(form: Any = "rows", **columns: Array) -> Any:
    return orjson.loads(predict_pictures.write(columns, form))


def test_what_there_is_one_of_has_no_name() -> None:
    scores = np.array([[0.25, 0.5]], np.float32)
    assert written(scores=scores) == {"predictions": [[0.25, 0.5]]}
    assert written("columns", scores=scores) == {"outputs": [[0.25, 0.5]]}
    both = {"scores": scores, "count": np.array([2])}
    assert written(**both) == {"predictions": [{"scores": [0.25, 0.5], "count": 2}]}
    assert written("columns", **both) == {"outputs": {"scores": [[0.25, 0.5]], "count": [2]}}


def test_what_is_no_number_is_null() -> None:
    odd = np.array([[[1, np.nan], [np.inf, -np.inf]]], np.float32)
    assert written(poses=odd) == {"predictions": [[[1, None], [None, None]]]}


def test_files_go_as_base64_and_words_as_words() -> None:
    files, words = np.array([b"png"], object), np.array([[b"cat", "dög".encode()]], object)
    assert written(mask_bytes=files) == {
        "predictions": [{"b64": base64.b64encode(b"png").decode()}]
    }
    assert written(classes=words) == {"predictions": [["cat", "dög"]]}

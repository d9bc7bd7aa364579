"""Answers as named arrays: what is told beforehand is what comes."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from littoral.bundle.manifest import Tensor
from littoral.model.tasks import columns, reading, showing
from littoral.model.tasks.answers import Answer
from littoral.model.tasks.labels import Labels


def ask(task: Any, outputs: list[Any], dtype: Any = "float32") -> tuple[reading.Reading, Answer]:
    arrays = [np.asarray(output, dtype) for output in outputs]
    specs = tuple(
        Tensor(name=f"out{k}", shape=(1, *array.shape), dtype=dtype)
        for k, array in enumerate(arrays)
    )
    how = reading.Reading(task=task, outputs=specs, labels=Labels(("a", "b")), side=(8, 8))
    reading.check(how)
    return how, reading.read(how, arrays)


BOXES = [[[0.1, 0.2, 0.3, 0.4]] * 3, [1, 0, 1], [0.9, 0.8, 0.1], 3]
POSES = np.concatenate([np.full((6, 51), 0.5), np.full((6, 5), 0.4)], axis=1)
EVERY = [
    ("classification", [[0.1, 0.9]], "float32"),
    ("classification", [[0.1] * 9], "float32"),
    ("detection", BOXES, "float32"),
    ("segmentation", [[[0, 1], [1, 1]]], "int64"),
    ("keypoints", [[[[0.5, 0.5, 0.9]] * 17]], "float32"),
    ("keypoints", [POSES], "float32"),
    ("embedding", [[[[1.0, 2.0]]]], "float32"),
    ("raw", [[1.0, 2.0], [[3.0]]], "float32"),
]


@pytest.mark.parametrize(("task", "outputs", "dtype"), EVERY)
def test_what_is_told_is_what_comes(task: str, outputs: list[Any], dtype: str) -> None:
    how, answer = ask(task, outputs, dtype)
    made = columns.columns([answer, answer])
    told = columns.told(how)
    assert [one.name for one in told] == list(made)
    for one in told:
        array = made[one.name]
        assert (array.dtype == object) == (one.kind == columns.BYTES)
        assert one.kind in {columns.BYTES, array.dtype.name}
        assert len(array) == 2
        assert len(one.shape) == array.ndim
        assert all(a in {-1, b} for a, b in zip(one.shape, array.shape, strict=True))


def test_shorter_rows_are_filled() -> None:
    _, full = ask("detection", BOXES)
    _, none = ask("detection", [*BOXES[:3], 0])
    made = columns.columns([none, full])
    assert made["detection_boxes"].shape == (2, 2, 4)
    assert made["detection_classes_as_text"].tolist() == [[b"", b""], [b"b", b"a"]]
    assert made["num_detections"].tolist() == [0, 2]
    made = columns.columns([none, none])
    assert made["detection_boxes"].shape == (2, 0, 4)


def test_a_mask_is_a_png_whose_values_are_the_classes() -> None:
    _, answer = ask("segmentation", [[[0, 1], [255, 3]]], "int64")
    made = columns.columns([answer])
    with Image.open(io.BytesIO(made["mask_bytes"][0])) as image:
        assert np.asarray(image).tolist() == [[0, 1], [255, 3]]
        assert image.convert("RGB").getpixel((0, 0)) == (0, 0, 0)
    assert made["classes"].tolist() == [[b"a", b"b", b"3", b"255"]]


@pytest.mark.parametrize(("task", "outputs", "dtype"), EVERY)
def test_every_answer_can_be_shown(task: str, outputs: list[Any], dtype: str) -> None:
    _, answer = ask(task, outputs, dtype)
    (value, *_) = showing.document(answer).values()
    assert value
    heads, rows = showing.table(answer)
    assert rows
    assert all(len(row) == len(heads) for row in rows)


def test_json_has_no_word_for_what_is_no_number() -> None:
    _, answer = ask("embedding", [[1.0, np.nan, np.inf]])
    assert showing.document(answer) == {"embedding": [1.0, None, None]}
    _, answer = ask("classification", [[np.nan, 0.5]])
    assert [c["score"] for c in showing.document(answer)["classes"]] == [0.5, None]

"""Each task over real models and real photographs, where they are at hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.errors import MalformedError
from littoral.model import tensors
from littoral.model.backends import open_session
from littoral.model.place import Place
from littoral.model.tasks import labels, pictures, reading
from littoral.model.tasks.answers import (
    Answer,
    Classification,
    Embedding,
    Keypoints,
    Raw,
    Segmentation,
)
from littoral.model.tasks.labels import Labels

SHARED = Path(__file__).parents[3] / "shared"
PICTURES = SHARED / "data/images"

shared = pytest.mark.skipif(not PICTURES.is_dir(), reason="needs the shared models and pictures")


def answer(model: str, picture: str, *, names: str = "", **said: Any) -> tuple[str, Answer]:
    """Return the task that the model's shapes tell, and its answer."""
    session = open_session("litert", (SHARED / f"models/coral/{model}.tflite").read_bytes())
    known = labels.read((PICTURES / names).read_bytes()) if names else Labels()
    into = pictures.entry(session.inputs)
    task = reading.told(session.outputs, known, into.side)
    how = reading.Reading(task=task, outputs=session.outputs, labels=known, side=into.side)
    entered = pictures.enter((PICTURES / picture).read_bytes(), into)
    (made,) = session.run(tensors.quantize(entered.real[None], session.inputs[0]))
    (spec,) = session.outputs
    real = tensors.dequantize(made, spec) if tensors.is_quantized(spec) else made
    return task, reading.read(how, [real[0]], place=entered.place, **said)


CATS = {"Egyptian cat", "tiger cat", "tabby, tabby cat"}


@shared
@pytest.mark.parametrize(
    ("model", "picture", "expected"),
    [
        ("mobilenet_v1_0.25_128_quant", "cat.bmp", CATS),
        ("mobilenet_v2_1.0_224_quant", "cat.bmp", CATS),
        ("tf2_mobilenet_v2_1.0_224_ptq", "cat.bmp", CATS),
        ("mobilenet_v2_1.0_224_quant", "parrot.jpg", {"macaw"}),
        ("mobilenet_v2_1.0_224_quant", "hot_dog.jpg", {"hotdog, hot dog, red hot"}),
        ("mobilenet_v2_1.0_224_quant", "sunflower.bmp", {"daisy"}),
        ("mobilenet_v2_1.0_224_quant", "grace_hopper.bmp", {"military uniform"}),
    ],
)
def test_photographs_are_what_they_show(model: str, picture: str, expected: set[str]) -> None:
    task, found = answer(model, picture, names="imagenet_labels.txt")
    assert task == "classification"
    assert isinstance(found, Classification)
    assert found.classes[0].label in expected
    scores = [each.score for each in found.classes]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 5


@shared
@pytest.mark.parametrize(
    ("picture", "bird"),
    [
        ("bird.bmp", "Poecile atricapillus (Black-capped Chickadee)"),
        ("parrot.jpg", "Ara macao (Scarlet Macaw)"),
        ("owl.jpg", "Athene cunicularia (Burrowing Owl)"),
    ],
)
def test_birds_are_called_by_their_names(picture: str, bird: str) -> None:
    names = "inat_bird_labels.txt"
    _, found = answer("mobilenet_v2_1.0_224_inat_bird_quant", picture, names=names, most=1)
    assert isinstance(found, Classification)
    assert [each.label for each in found.classes] == [bird]


@shared
def test_a_handwritten_nine_is_one() -> None:
    _, found = answer("keras_lstm_mnist_ptq", "mnist_nine.bmp")
    assert isinstance(found, Classification)
    assert (found.classes[0].label, found.classes[0].score > 0.9) == ("9", True)


@shared
def test_movenet_finds_the_joints_where_its_reference_has_them() -> None:
    """As near as this model is to itself: see docs/tasks.md, and tests/test_benchmarks.py."""
    task, found = answer("movenet_single_pose_lightning_ptq", "squat.bmp")
    assert task == "keypoints"
    assert isinstance(found, Keypoints)
    (pose,) = found.poses
    reference = np.genfromtxt(
        PICTURES / "movenet_single_pose_lightning_ptq_reference.csv", delimiter=",", skip_header=1
    )
    off = np.abs([[p.x, p.y] for p in pose.points] - reference[:, 4:])
    assert off.mean() < 0.0125
    assert (off <= 0.02).sum() >= 26  # of 34: 27 is the least that other kernels and pixels gave
    assert off.max() < 0.06
    assert pose.score > 0.4


@shared
@pytest.mark.parametrize(
    ("picture", "label", "least"),
    [("cat.bmp", "cat", 0.3), ("bird.bmp", "bird", 0.1), ("grace_hopper.bmp", "person", 0.5)],
)
def test_deeplab_finds_the_object(picture: str, label: str, least: float) -> None:
    names = "pascal_voc_segmentation_labels.txt"
    task, found = answer("deeplabv3_mnv2_dm05_pascal_quant", picture, names=names)
    assert task == "segmentation"
    assert isinstance(found, Segmentation)
    parts = {region.label: region.part for region in found.regions}
    assert parts.keys() == {"background", label}
    assert parts[label] > least
    assert sum(parts.values()) == pytest.approx(1)
    assert (found.box.top, found.box.left, found.box.bottom, found.box.right) == (0, 0, 1, 1)


@shared
def test_an_embedding_of_a_cat_is_nearer_to_that_of_a_cat() -> None:
    task, cat = answer("mobilenet_v1_1.0_224_quant_embedding_extractor", "cat.bmp")
    assert task == "embedding"
    _, flower = answer("mobilenet_v1_1.0_224_quant_embedding_extractor", "sunflower.bmp")
    assert isinstance(cat, Embedding)
    assert isinstance(flower, Embedding)
    assert cat.vector.shape == (1024,)
    cosine = cat.vector @ flower.vector / np.linalg.norm(cat.vector) / np.linalg.norm(flower.vector)
    assert 0 < cosine < 0.8


def how(task: Any, *shapes: tuple[int, ...], dtype: Any = "float32") -> reading.Reading:
    outputs = tuple(
        Tensor(name=f"out{k}", shape=(1, *shape), dtype=dtype) for k, shape in enumerate(shapes)
    )
    return reading.Reading(task=task, outputs=outputs, labels=Labels(("a", "b", "c")), side=(8, 8))


@pytest.mark.parametrize(
    ("task", "shapes"),
    [
        ("classification", [(2, 3)]),
        ("classification", [(3,), (3,)]),
        ("keypoints", [(17, 2)]),
        ("keypoints", [(6, 57)]),
        ("segmentation", [(8, 8)]),  # floats: no classes
        ("segmentation", [(8, 8, 257)]),
        ("embedding", [(3,), (3,)]),
    ],
)
def test_outputs_of_another_task_are_refused_with_what_was_expected(
    task: str, shapes: list[tuple[int, ...]]
) -> None:
    with pytest.raises(MalformedError, match=f"{task}: expected .* found"):
        reading.check(how(task, *shapes))


@pytest.mark.parametrize(
    ("shapes", "dtype", "task"),
    [
        ([(10,)], "uint8", "classification"),
        ([(1, 1, 1024)], "uint8", "embedding"),
        ([(1, 17, 3)], "float32", "keypoints"),
        ([(6, 56)], "float32", "keypoints"),
        ([(8, 8)], "int64", "segmentation"),
        ([(8, 8, 21)], "float32", "segmentation"),
        ([(10, 4), (10,), (10,), ()], "float32", "detection"),
        ([(1,)], "float32", "raw"),
        ([(3,), (4,)], "float32", "raw"),
    ],
)
def test_shapes_tell_the_task_of_a_model_without_a_manifest(
    shapes: list[tuple[int, ...]], dtype: str, task: str
) -> None:
    outputs = how("raw", *shapes, dtype=dtype).outputs
    assert reading.told(outputs, Labels(), (8, 8)) == task


def test_a_mask_of_scores_is_the_surest_class_of_each_pixel_that_shows_the_picture() -> None:
    scores = np.zeros((8, 8, 3), np.float32)
    scores[..., 0] = 0.5
    scores[2:6, :4, 2] = 0.9
    found = reading.read(
        how("segmentation", (8, 8, 3)), [scores], place=Place(top=0.25, bottom=0.75)
    )
    assert isinstance(found, Segmentation)
    assert found.mask.shape == (4, 8)
    assert [(r.label, r.part) for r in found.regions] == [("a", 0.5), ("c", 0.5)]


def test_a_mask_of_a_crop_says_what_of_the_picture_it_covers() -> None:
    mask = np.ones((8, 8), np.int64)
    found = reading.read(
        how("segmentation", (8, 8), dtype="int64"), [mask], place=Place(left=-0.5, right=1.5)
    )
    assert isinstance(found, Segmentation)
    assert (found.box.left, found.box.right) == (0.25, 0.75)


def test_a_class_beyond_a_masks_is_refused() -> None:
    with pytest.raises(MalformedError, match="a class of 0 to 255 was expected, found 256"):
        reading.read(how("segmentation", (8, 8), dtype="int64"), [np.full((8, 8), 256)])


def test_of_several_people_the_surest_come_first_and_the_unsure_not_at_all() -> None:
    rows = np.zeros((6, 56), np.float32)
    rows[1, -5:] = [0.1, 0.2, 0.5, 0.6, 0.4]
    rows[4, -5:] = [0.3, 0.3, 0.9, 0.9, 0.8]
    found = reading.read(how("keypoints", (6, 56)), [rows])
    assert isinstance(found, Keypoints)
    assert [round(pose.score, 3) for pose in found.poses] == [0.8, 0.4]
    box = found.poses[1].box
    assert box is not None
    assert (box.top, box.right) == pytest.approx((0.1, 0.6))


def test_raw_outputs_are_as_they_are() -> None:
    found = reading.read(how("raw", (3,), (2, 2)), [np.arange(3), np.eye(2)])
    assert isinstance(found, Raw)
    assert list(found.outputs) == ["out0", "out1"]
    assert np.array_equal(found.outputs["out1"], np.eye(2))


def test_classes_without_a_name_are_called_by_their_numbers() -> None:
    found = reading.read(how("classification", (5,)), [np.array([0.1, 0, 0, 0.4, 0.5])], most=3)
    assert isinstance(found, Classification)
    assert [each.label for each in found.classes] == ["4", "3", "a"]

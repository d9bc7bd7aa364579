"""``littoral predict`` as a person and a program use it."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from littoral.door import main
from littoral.model import metadata
from simulators import detectors, edgetpu
from simulators.served import FIXTURES, Device, model

CAT = Path(__file__).parents[3] / "shared/data/images/cat.bmp"
MODELS = CAT.parents[2] / "models/coral"
DIGITS = str(FIXTURES / "tiny_int8.tflite")


class Terminal:
    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys, self.folder = capsys, folder
        (folder / "squares.png").write_bytes(detectors.picture())
        (folder / "finder.tflite").write_bytes(detectors.finder())
        (folder / "names.txt").write_text("0 red\n1 blue\n")

    def __call__(self, *args: str, code: int = 0) -> str:
        found = main(["predict", *args])
        out, err = self._capsys.readouterr()
        assert found == code, err
        return err if code else out

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json"))


@pytest.fixture
def predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(capsys, tmp_path)


BARE = ("finder.tflite", "squares.png", "--labels", "names.txt", "--range", "0", "1")


def test_objects_are_listed_and_drawn(predict: Terminal) -> None:
    out = predict(*BARE, "--draw", "seen.png")
    heads, *rows = out.splitlines()
    assert heads.split() == ["score", "object", "top", "left", "bottom", "right"]
    assert [row.split()[1] for row in rows] == ["blue", "red"]
    assert rows[1].split()[2:] == ["0.125", "0.250", "0.500", "0.625"]
    with Image.open("seen.png") as drawn:
        assert drawn.size == (640, 640)
        assert drawn.getpixel((5, 5)) == (128, 128, 128)
        assert drawn.getpixel((160, 200)) != (255, 0, 0)  # the box around the red square


def test_a_program_gets_one_object(predict: Terminal) -> None:
    found = predict.json(*BARE)
    assert found["task"] == "detection"
    assert (found["model"], found["release"], found["variant"]) == ("finder", None, None)
    assert found["picture"] == {"width": 640, "height": 640}
    assert len(found["invoke_us"]) == 1
    (answer,) = found["answers"]
    assert [thing["label"] for thing in answer["objects"]] == ["blue", "red"]
    assert answer["objects"][0]["box"] == {
        "top": 0.5,
        "left": 0.5,
        "bottom": 0.875,
        "right": 0.875,
    }


def test_of_an_installed_model_all_is_known(predict: Terminal, tmp_path: Path) -> None:
    """Its picture is padded: coordinates are the picture's, not the input's."""
    device = Device(tmp_path / "device")
    device.good(detectors.release(device))
    wide = tmp_path / "wide.jpg"
    wide.write_bytes(detectors.picture(1280, 1000, "JPEG"))
    found = predict.json("squares", str(wide), "--data", str(device.tree.root))
    assert (found["model"], found["release"], found["task"]) == ("squares", 1, "detection")
    boxes = {thing["label"]: thing["box"] for thing in found["answers"][0]["objects"]}
    assert boxes["red"] == pytest.approx({"top": 0.02, "left": 0.25, "bottom": 0.5, "right": 0.625})


def test_names_that_are_not_the_models_own_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers, names = tmp_path / "x.npy", tmp_path / "three.txt"
    np.save(numbers, np.zeros((8, 8, 1), np.float32))
    names.write_text("a\nb\nc\n")
    words = ["predict", str(FIXTURES / "tiny_int8.tflite"), str(numbers), "--labels", str(names)]
    assert main(words) == 0
    assert "warning: 3 names for 10 classes" in capsys.readouterr().err


KWS = CAT.parents[2] / "models/mlperf_tiny/kws_ref_model_int8.tflite"


@pytest.mark.skipif(not KWS.is_file(), reason="needs the shared models and pictures")
def test_a_picture_for_a_model_that_may_hear_is_answered_with_a_warning(
    predict: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(KWS), "squares.png"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "warning: the model takes 49 by 10 numbers" in err
    assert out.startswith("score")
    assert main([*words, "--range", "0", "1"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert "score" in predict(DIGITS, "squares.png")


def test_threshold_and_top_ask_for_fewer(predict: Terminal) -> None:
    assert predict.json(*BARE, "--threshold", "0.995")["answers"] == [{"objects": []}]
    (answer,) = predict.json(*BARE, "--top", "1")["answers"]
    assert len(answer["objects"]) == 1


def test_numbers_are_asked_one_after_the_other(predict: Terminal) -> None:
    np.save("in.npy", np.zeros((3, 8, 8, 1), np.float32))
    found = predict.json(DIGITS, "in.npy", "--top", "2")
    assert [len(answer["classes"]) for answer in found["answers"]] == [2, 2, 2]
    assert found["picture"] is None
    assert predict(DIGITS, "in.npy").count("score") == 3


def test_samples_that_bring_the_true_classes_tell_which_answers_are_right(
    predict: Terminal,
) -> None:
    x = np.random.default_rng(3).normal(size=(4, 8, 8, 1)).astype(np.float32)
    np.savez("x.npz", x=x)
    found = predict.json(DIGITS, "x.npz")
    assert found["accuracy"] is None
    assert not any("true" in answer for answer in found["answers"])
    said = np.array([answer["classes"][0]["index"] for answer in found["answers"]])
    said[0] = (said[0] + 1) % 10
    np.savez("xy.npz", x=x, y=said)
    found = predict.json(DIGITS, "xy.npz")
    assert found["accuracy"] == 0.75
    assert [answer["true"]["index"] for answer in found["answers"]] == said.tolist()
    out = predict(DIGITS, "xy.npz").splitlines()
    told = [line for line in out if line.startswith(("right", "wrong"))]
    assert told == [f"wrong: it is {said[0]}", "right", "right", "right"]
    assert out[-1] == "3 of 4 are right: 75.00%"
    assert [line for line in out if line.startswith("sample ")] == [
        f"sample {k} of 4" for k in (1, 2, 3, 4)
    ]
    summary = predict(DIGITS, "xy.npz", "--summary").splitlines()
    assert (len(summary), summary[0][:11], summary[1]) == (2, "4 samples, ", out[-1])
    brief = predict.json(DIGITS, "xy.npz", "--summary")
    assert (brief["samples"], "answers" in brief, "invoke_us" in brief) == (4, False, False)
    raw = predict.json(DIGITS, "xy.npz", "--task", "raw")
    assert raw["accuracy"] is None
    assert "true" not in raw["answers"][0]


def test_samples_name_their_classes_where_nobody_else_does(predict: Terminal) -> None:
    x = np.zeros((1, 8, 8, 1), np.float32)
    named = np.array([f"digit {k}" for k in range(10)])
    np.savez("xy.npz", x=x, y=[7], labels=named)
    (answer,) = predict.json(DIGITS, "xy.npz")["answers"]
    assert answer["classes"][0]["label"] == f"digit {answer['classes'][0]['index']}"
    assert answer["true"] == {"index": 7, "label": "digit 7"}
    Path("names.txt").write_text("".join(f"my {k}\n" for k in range(10)))
    (answer,) = predict.json(DIGITS, "xy.npz", "--labels", "names.txt")["answers"]
    assert answer["true"]["label"] == "my 7"


def test_classes_that_the_model_does_not_have_are_told(predict: Terminal) -> None:
    np.savez("xy.npz", x=np.zeros((2, 8, 8, 1), np.float32), y=[1, 10])
    err = predict(DIGITS, "xy.npz", code=1)
    assert "xy.npz: y: expected classes from 0 to 9, found 10 [malformed]" in err


def test_another_task_may_be_asked_for(predict: Terminal) -> None:
    np.save("in.npy", np.zeros((8, 8, 1), np.float32))
    (answer,) = predict.json(DIGITS, "in.npy", "--task", "raw")["answers"]
    (scores,) = answer["outputs"].values()
    assert len(scores) == 10
    (answer,) = predict.json(DIGITS, "in.npy", "--task", "embedding")["answers"]
    assert answer["embedding"] == scores
    assert "classes" not in predict(DIGITS, "in.npy", "--task", "raw")
    assert "norm" in predict(DIGITS, "in.npy", "--task", "embedding")


@pytest.mark.skipif(not CAT.is_file(), reason="needs the shared models and pictures")
def test_a_full_disk_leaves_the_picture_that_was_drawn_before(
    predict: Terminal, small_disk: Path
) -> None:
    seen = small_disk / "seen.png"
    predict(*BARE, "--draw", str(seen))
    before = seen.read_bytes()
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    said = predict(*BARE, "--draw", str(seen), code=1)
    assert "[disk-full]" in said
    assert seen.read_bytes() == before


def test_a_cat_is_a_cat_of_so_many_pixels_and_drawn_so(predict: Terminal) -> None:
    labels = str(CAT.with_name("imagenet_labels.txt"))
    model = str(MODELS / "mobilenet_v2_1.0_224_quant.tflite")
    assert "Egyptian cat" in predict(model, str(CAT), "--labels", labels).splitlines()[1]
    model = str(MODELS / "deeplabv3_mnv2_dm05_pascal_quant.tflite")
    labels = str(CAT.with_name("pascal_voc_segmentation_labels.txt"))
    found = predict.json(model, str(CAT), "--labels", labels, "--draw", "mask.png")
    (answer,) = found["answers"]
    assert answer["mask"] == {"height": 513, "width": 513}
    assert [region["label"] for region in answer["regions"]] == ["background", "cat"]
    before, after = np.asarray(Image.open(CAT)), np.asarray(Image.open("mask.png"))
    part = (before != after).any(axis=2).mean()
    assert part == pytest.approx(answer["regions"][1]["part"], abs=0.03)


@pytest.mark.skipif(not CAT.is_file(), reason="needs the shared models and pictures")
def test_a_file_that_brings_its_labels_needs_no_others(predict: Terminal) -> None:
    """TFLite Metadata: Coral's files have the names of their classes behind the model."""
    path = MODELS / "mobilenet_v2_1.0_224_quant.tflite"
    assert "Egyptian cat" in predict(str(path), str(CAT)).splitlines()[1]
    names = metadata.labels_of(path.read_bytes())
    assert (len(names), names[0]) == (1001, "background")
    Path("other.txt").write_text("".join(f"class {k}\n" for k in range(1001)))
    assert "class 286" in predict(str(path), str(CAT), "--labels", "other.txt")


def test_a_compiled_file_runs_on_a_tpu_or_says_what_to_do(predict: Terminal) -> None:
    pytest.importorskip("flatbuffers")
    from simulators.edgetpu_compiled import compiled

    Path("digits_edgetpu.tflite").write_bytes(compiled(model("tiny_int8")))
    stored = np.arange(64, dtype=np.int8).reshape(8, 8, 1)
    np.save("in.npy", stored)
    words = ("digits_edgetpu.tflite", "in.npy")
    err = predict(*words, code=1)
    assert "it was compiled for an Edge TPU, and no Edge TPU can be opened" in err
    assert "Without one, take the file that it was compiled from [backend-missing]" in err
    there = {"LD_LIBRARY_PATH": str(edgetpu.build(predict.folder))}
    command = [sys.executable, "-m", "littoral", "predict", *words, "--task", "raw", "--json"]
    done = subprocess.run(command, env=os.environ | there, check=True, capture_output=True)
    (answer,) = json.loads(done.stdout)["answers"]
    (scores,) = answer["outputs"].values()
    made = np.frombuffer(edgetpu.answer(stored.tobytes(), 10), np.int8)
    assert np.array_equal(np.argsort(scores, stable=True), np.argsort(made, stable=True))


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        (("none.tflite", "squares.png"), 2, "no model 'none.tflite'"),
        (("finder.tflite", "none.png"), 2, "no input none.png"),
        (("finder.tflite", "names.txt"), 1, "names.txt: expected a picture"),
        ((DIGITS, "squares.png", "--task", "keypoints"), 1, "keypoints: expected one output"),
        ((DIGITS, "in.npy", "--draw", "x.png"), 2, "INPUT is numbers"),
        ((DIGITS, "squares.png", "--task", "raw", "--draw", "x.png"), 2, "nothing to draw"),
        ((*BARE, "--draw", "x.doc"), 2, "found x.doc"),
        ((*BARE, "--draw", "./squares.png"), 2, "another file than INPUT"),
        (("finder.tflite", "squares.png", "--labels", "/dev/zero"), 1, "zero: expected a file"),
        ((*BARE, "--draw", "none/x.png"), 1, "none/x.png: No such file"),
        (("finder.tflite", "squares.png", "--labels", "squares.png"), 1, "png: labels: expected"),
        (("finder.tflite", "squares.png", "--labels", "no.txt"), 1, "no.txt: No such file"),
        (("finder.tflite", "squares.png", "--range", "1", "1"), 2, "two different numbers"),
        (("finder.tflite", "squares.png", "--variant", "x"), 2, "--variant"),
        (("finder.tflite", "squares.png", "--threshold", "nan"), 2, "not a finite number"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    args: tuple[str, ...], code: int, why: str, predict: Terminal
) -> None:
    np.save("in.npy", np.zeros((8, 8, 1), np.float32))
    err = predict(*args, code=code)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert why in lines[0]

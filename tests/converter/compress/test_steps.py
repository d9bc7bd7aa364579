"""Real networks through all steps: what each leaves, and that the others leave it so."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = pytest.mark.skipif(
    find_spec("tf_keras") is None, reason="without-dependencies.txt is not installed"
)
RECIPES = Path(__file__).parents[3] / "converter/recipes"


@pytest.fixture(scope="session")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything was compressed."""
    at = tmp_path_factory.mktemp("compressed")
    for name in ("digits.keras", "train.npz"):
        shutil.copy(models / name, at)
    command = [sys.executable, str(Path(__file__).with_name("run_cases.py")), str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    return at


@pytest.fixture(scope="session")
def said(folder: Path) -> Any:
    return json.loads((folder / "cases.json").read_text())


def kernels(folder: Path, case: str) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of two axes and more in a compressed model's file."""
    found: dict[str, NDArray[np.float32]] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim > 1:
            found[name] = item[:]

    with zipfile.ZipFile(folder / case / "compressed.keras") as archive:
        inner = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(inner) as file:
        file.visititems(keep)
    assert found
    return found


def sparsity(arrays: dict[str, NDArray[np.float32]]) -> float:
    zeros = sum(int((w == 0).sum()) for w in arrays.values())
    return zeros / sum(w.size for w in arrays.values())


@pytest.mark.parametrize("case", ["all", "back"])
def test_what_a_step_did_all_later_ones_keep(folder: Path, said: Any, case: str) -> None:
    for w in kernels(folder, case).values():
        assert abs((w == 0).mean() - 0.7) < 0.02
        assert len(np.unique(w)) <= (12 if case == "all" else 13)  # 0 came later, and is one more
    last = said[case]["steps"][-1]["after"]
    assert last["score"]["accuracy"] > 0.9
    assert last["sparsity"] == pytest.approx(0.7, abs=0.01)
    assert last["int8_zstd_bytes"] < 0.5 * last["int8_bytes"]


def test_equal_seeds_give_equal_files(folder: Path) -> None:
    first, second = ((folder / case / "compressed.keras").read_bytes() for case in ("all", "again"))
    assert first == second


def test_a_second_pruning_wakes_nothing(said: Any) -> None:
    half, most = said["twice"]["steps"]
    assert half["after"]["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert most["after"]["sparsity"] == pytest.approx(0.8, abs=0.01)
    each = [layer["sparsity"] for layer in most["layers"]]
    assert min(each) >= 0.49  # of each layer, from the first step
    assert max(each) - min(each) > 0.02  # of all together, from the second


def test_two_of_each_four_inputs_are_left(folder: Path, said: Any) -> None:
    untouched = said["two-of-four"]["steps"][0]["untouched"]
    assert len(untouched) == 1  # one input has no four
    whole = [w for w in kernels(folder, "two-of-four").values() if not (w == 0).any()]
    assert len(whole) == 1
    for w in kernels(folder, "two-of-four").values():
        if (w == 0).any():
            groups = w.reshape(-1, 4, w.shape[-1])
            assert ((groups != 0).sum(axis=1) <= 2).all()


def test_blocks_and_names(folder: Path, said: Any) -> None:
    dense = [w for w in kernels(folder, "block").values() if w.ndim == 2]
    assert not (dense[0] == 0).any()  # skipped
    for w in kernels(folder, "block").values():
        if w.ndim == 4:
            blocks = w.reshape(-1, w.shape[-1] // 4, 4) == 0
            assert (blocks.all(axis=2) == blocks.any(axis=2)).all()
    assert [layer["name"] for layer in said["named"]["steps"][0]["layers"]] == ["digit/kernel"]
    pruned = {w.ndim: float((w == 0).mean()) for w in kernels(folder, "named").values()}
    assert pruned == {4: 0.0, 2: pytest.approx(0.7, abs=0.01)}


def test_recurrent_and_attention_layers_are_compressed_like_any_other(said: Any) -> None:
    last = said["rows"]["steps"][-1]
    assert last["after"]["sparsity"] == pytest.approx(0.7, abs=0.02)
    assert last["after"]["unique"] <= 12
    names = {layer["name"] for layer in last["layers"]}
    assert any("lstm" in name and "recurrent_kernel" in name for name in names)
    assert any("query/kernel" in name for name in names)
    assert not any("bias" in name for name in names)


def test_a_model_of_keras_2_stays_one(folder: Path, said: Any) -> None:
    steps = said["old"]["steps"]
    pruned = {layer["name"] for layer in steps[0]["layers"]}
    rounded = {layer["name"] for layer in steps[2]["layers"]}
    assert any("pointwise_kernel" in name for name in pruned)
    # A depthwise kernel is not pruned unless it is named, but rounded as INT8 will.
    assert {name.rsplit("/", 1)[1] for name in rounded - pruned} == {"depthwise_kernel"}
    with zipfile.ZipFile(folder / "old/compressed.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["keras_version"].startswith("2.")


def test_without_true_classes_the_model_teaches_itself(said: Any) -> None:
    (done,) = said["alone"]["steps"]
    assert "accuracy" not in done["after"]["score"]
    assert done["before"]["score"]["agreement"] == 1.0
    assert done["after"]["score"]["agreement"] > 0.9


def test_training_with_rounding_says_how_the_integers_will_answer(said: Any) -> None:
    done = said["qat"]["steps"][0]
    assert done["rounded"]["accuracy"] > 0.93
    assert done["rounded"]["loss"] != done["after"]["score"]["loss"]


def test_a_pupil_hears_of_its_teacher(said: Any) -> None:
    done = said["distill"]["steps"][0]
    assert done["teacher"]["agreement"] == 1.0  # it is the model itself
    assert done["after"]["score"]["accuracy"] > 0.93


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("stranger", "no layer 'digits' with weights; there are: conv2d, conv2d_1, digit"),
        ("hot", "the loss is no number any more after epoch"),
        ("flat", "takes [8, 8, 1], and the training samples are [8, 8]; add the last axis"),
        ("wrong teacher", "other.keras: answers [3], the model [10]; they have to be the same"),
    ],
)
def test_what_cannot_be_says_why(said: Any, case: str, words: str) -> None:
    assert words in said[case]["error"]


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_the_recipes_that_are_shown_work(folder: Path, said: Any, recipe: str) -> None:
    steps = said[recipe]["steps"]
    assert steps[-1]["after"]["score"]["accuracy"] > 0.9
    assert (folder / recipe / said[recipe]["model"]).is_file()

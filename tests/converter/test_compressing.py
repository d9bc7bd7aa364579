"""Recipes that compress, through the real command."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from converter.conftest import Littoral

RECIPES = Path(__file__).parents[2] / "converter/recipes"


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


@pytest.mark.slow
def test_a_compressed_release_is_one_like_any_other_and_packs_smaller(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    text = (RECIPES / "smallest.toml").read_text().replace("epochs = 6", "epochs = 5")
    out = tmp_path / "out"
    said = littoral(
        "convert", models / "digits.keras", "-o", out, "--json", "--name", "digits",
        "--recipe", recipe(tmp_path, text), "--training", models / "train.npz",
        "--calibration", models / "train.npz", "--evaluation", models / "test.npz",
    ).json  # fmt: skip
    (variant,) = said["variants"]
    assert variant["fully_integer"] is True
    assert variant["accuracy"] > 0.9
    report = json.loads((out / "report.json").read_text())
    assert report["source"]["name"] == "digits.keras"  # as it was given, not as it was trained
    found = report["compression"]
    assert [step["step"] for step in found["found"]["steps"]] == ["prune", "cluster", "qat"]
    assert found["int8_bytes"] == variant["bytes"]
    # Pruned by 70 % and clustered: what travels is less than half, and the integers are as sparse.
    assert found["int8_zstd_bytes"] < 0.5 * found["int8_bytes"]
    last = found["found"]["steps"][-1]["after"]
    assert last["sparsity"] == pytest.approx(0.7, abs=0.01)
    assert report["recipe"]["compress"][0]["sparsity"] == 0.7


ONE = "[[compress]]\nstep = 'fine-tune'\n"


@pytest.mark.parametrize(
    "case",
    [
        (
            ONE,
            None,
            r"trains: give --training DATA or, in the recipe, \[training\] data.*\[usage\]",
        ),
        ("", "train.npz", r"--training: the recipe has no \[\[compress\]\] step.*\[usage\]"),
        (
            "[[compress]]\nstep = 'distill'\nteacher = 'gone.keras'\n",
            "train.npz",
            r"no model \S+/gone\.keras: there is no such file or folder \[usage\]",
        ),
        (
            "[[compress]]\nstep = 'prune'\nclusters = 3\n",
            "train.npz",
            r"a step prune has no clusters; it has: .*\[setting\]",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_is_trained(
    models: Path, littoral: Littoral, tmp_path: Path, case: tuple[str, str | None, str]
) -> None:
    text, training, words = case
    more = () if training is None else ("--training", models / training)
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "out", *more,
        "--recipe", recipe(tmp_path, text), "--calibration", models / "train.npz",
    )  # fmt: skip
    assert ran.code == 2
    assert re.fullmatch(f"error: .*{words}\n", ran.err), ran.err
    assert not (tmp_path / "out").exists()


def test_only_keras_models_are_trained(littoral: Littoral, tmp_path: Path) -> None:
    tiny = Path(__file__).parents[1] / "fixtures/tiny_float.tflite"
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((50, 8, 8, 1), np.float32))
    ran = littoral(
        "convert", tiny, "-o", tmp_path / "out", "--recipe", recipe(tmp_path, ONE),
        "--calibration", tmp_path / "x.npz", "--training", tmp_path / "x.npz",
    )  # fmt: skip
    assert re.fullmatch(r"error: .*trains, and this is a model of TFLite; .*\[usage\]\n", ran.err)


@pytest.mark.slow
def test_a_model_that_lost_too_much_is_refused_with_the_figures_of_each_step(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    text = (
        "[training]\nepochs = 1\ndata = 'learn.npz'\n[[compress]]\nstep = 'prune'\n"
        "sparsity = 0.98\n[[compress]]\nstep = 'fine-tune'\n"
    )
    (tmp_path / "learn.npz").symlink_to(models / "train.npz")  # beside the recipe
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "out",
        "--recipe", recipe(tmp_path, text), "--calibration", models / "train.npz",
    )  # fmt: skip
    assert ran.code == 1
    assert re.search(
        r"\nerror: compressing costs too much: accuracy \d+\.\d% -> \d+\.\d% on 144 samples that "
        r"it did not learn from \(prune \d+\.\d% -> fine-tune \d+\.\d%\), and 5 points are "
        r"allowed; .*\[conversion\]\n$",
        ran.err,
    ), ran.err
    assert not (tmp_path / "out").exists()

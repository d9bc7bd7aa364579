"""What cannot be converted, and what is said about it: real models, real TensorFlow."""

import re
import zipfile
from pathlib import Path

import pytest

from converter.conftest import Littoral
from littoral.bundle.manifest import Manifest


@pytest.mark.parametrize(
    "case",
    [
        ("masked", "series", r"layer 'masking' masks steps.*kind = \"dynamic\" \[conversion\]"),
        ("waves", "series", r"not fully integer: .*1 SIN.*allow_float.*\[conversion\]"),
        ("dynamic", "pictures", r"\[\?, \?, 3\].*\[input\] shape = \[16, 16, 3\] \[conversion\]"),
        ("lambda", "vectors", r"Lambda layer holds Python code.*\[conversion\]"),
        ("digits", "vectors", r"expected samples of \[8, 8, 1\].*found \[4\] \[usage\]"),
    ],
)
def test_what_cannot_be_converted_says_why_and_leaves_nothing(
    models: Path, littoral: Littoral, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    model, data, words = case
    out = tmp_path / "out"
    ran = littoral(
        "convert", models / f"{model}.keras", "-o", out, "--calibration", models / f"{data}.npy"
    )
    assert ran.code in {1, 2}
    assert re.fullmatch(f"error: .*{words}", ran.err.splitlines()[-1]), ran.err
    assert ran.out == ""
    assert list(tmp_path.iterdir()) == []


def test_what_its_maker_may_not_expect_is_told(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    """Halves become floats; two cranes stay two."""
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join((*"abcdefgh", "crane", "crane")))
    ran = littoral(
        "convert", models / "half.keras", "-o", tmp_path / "out", "--json",
        "--calibration", models / "train.npz", "--labels", labels,
    )  # fmt: skip
    assert ran.json["variants"][0]["fully_integer"] is True
    assert "computes in mixed_float16, and was converted as if in float32" in ran.err
    assert "several classes are called 'crane': whoever reads" in ran.err


def test_a_saved_model_in_halves_is_refused_in_words(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    ran = littoral(
        "convert", models / "half", "-o", tmp_path / "out", "--calibration", models / "train.npz"
    )
    assert ran.code == 1
    said = ran.err.splitlines()[-1]
    assert said.startswith("error: the model computes in halves (float16 or bfloat16)"), said
    assert said.endswith("[conversion]")


def test_a_dynamic_input_is_pinned_by_a_recipe(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    recipe = tmp_path / "pin.toml"
    recipe.write_text("[input]\nshape = [16, 16, 3]\n[quantize]\nio = 'uint8'\n")
    said = littoral(
        "convert", models / "dynamic.keras", "-o", tmp_path / "out", "--json",
        "--calibration", models / "pictures.npy", "--recipe", recipe,
    ).json  # fmt: skip
    assert said["variants"][0]["fully_integer"] is True
    found = Manifest.from_json((tmp_path / "out" / "manifest.json").read_bytes())
    for tensor in (*found.inputs, *found.outputs):
        assert tensor.dtype == "uint8"
    assert found.inputs[0].shape == (1, 16, 16, 3)


def test_floating_point_is_accepted_where_the_recipe_says_so_and_is_told(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    recipe = tmp_path / "float.toml"
    recipe.write_text("[quantize]\nallow_float = true\n")
    ran = littoral(
        "convert", models / "waves.keras", "-o", tmp_path / "out", "--json",
        "--calibration", models / "series.npy", "--recipe", recipe,
    )  # fmt: skip
    assert ran.json["variants"][0]["fully_integer"] is False
    assert "not fully integer" in ran.err


def test_a_damaged_keras_file_is_said_so(models: Path, littoral: Littoral, tmp_path: Path) -> None:
    damaged = bytearray((models / "digits.keras").read_bytes())
    damaged[40_000:41_000] = bytes(1000)
    path = tmp_path / "damaged.keras"
    path.write_bytes(damaged)
    ran = littoral("convert", path, "-o", tmp_path / "out", "--calibration", models / "train.npz")
    assert ran.code == 1
    said = ran.err.splitlines()[-1]
    assert re.fullmatch(r"error: damaged\.keras: damaged or cut short .*\[malformed\]", said)


def test_a_keras_file_that_becomes_gigabytes_is_refused_before_they_are_read(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.keras"
    with (
        zipfile.ZipFile(models / "digits.keras") as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in whole.namelist():
            grown = bytes(80_000_000) if name.endswith(".h5") else whole.read(name)
            archive.writestr(name, grown)
    ran = littoral("convert", path, "-o", tmp_path / "out", "--calibration", models / "train.npz")
    assert ran.code == 1
    assert "model.weights.h5 would become 80 MB of 0.1: no model's parts" in ran.err


def test_a_step_stops_at_the_recipes_deadline(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    recipe = tmp_path / "late.toml"
    recipe.write_text("[limits]\ndeadline_s = 1.0\n")
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "out",
        "--calibration", models / "train.npz", "--recipe", recipe,
    )  # fmt: skip
    said = ran.err.splitlines()[-1]
    assert re.fullmatch(r"error: .*: not done within 1 s; .*\[deadline\]", said)
    assert not (tmp_path / "out").exists()

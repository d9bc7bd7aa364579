from pathlib import Path

import pytest

from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import SettingsError
from littoral_converter import recipe
from littoral_converter.recipe import Recipe, Requires


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


def test_everything_has_a_default() -> None:
    assert recipe.read(None) == Recipe()
    assert Recipe().quantize.io == "int8"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        model = "doors"
        label = "spring"
        task = "raw"
        [input]
        shape = [96, 96, 3]
        preprocessing = { range = [0, 1], resize = "crop", shorter = 256 }
        [calibration]
        samples = 50
        [quantize]
        io = "uint8"
        [selftest]
        p95_cpu_us = { cpu-aarch64 = 9000 }
        [requires]
        runtime = "litert>=2.1"
        memory_bytes = 300_000_000
        [guard]
        max_accuracy_drop = 0.01
        """,
    )
    found = recipe.read(path)
    assert (found.model, found.label, found.task) == ("doors", "spring", "raw")
    assert found.input.shape == (96, 96, 3)
    assert found.input.preprocessing == Preprocessing(range=(0, 1), resize="crop", shorter=256)
    assert found.calibration.samples == 50
    assert found.quantize.io == "uint8"
    assert found.selftest.p95_cpu_us == {"cpu-aarch64": 9000.0}
    assert found.requires == Requires(runtime="litert>=2.1", memory_bytes=300_000_000)
    assert found.guard.max_accuracy_drop == 0.01


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[selftest]\ncuont = 3", "no setting 'selftest.cuont'; did you mean 'count'?"),
        ("[quantize]\nio = 'int4'", "one of int8, uint8"),
        ("[calibration]\nsamples = 0", "at least 1"),
        ("[calibration]\nsamples = 1.5", "should be int"),
        ("[requires]\nruntime = 'tflite'", "requires: runtime: expected a runtime"),
        ("[requires]\nmemory_bytes = -1", "at least 0"),
        ("[selftest]\ncount = 0", "1 to 1024"),
        ("[selftest]\nmin_top1 = 2", "0 to 1"),
        ("[selftest]\nmargin = 0.5", "margin is at least 1"),
        ("[selftest]\np95_cpu_us = { pi = 3 }", "no hardware 'pi'; there are: cpu-x86_64"),
        ("[selftest]\np95_cpu_us = { cuda = 0 }", "more than 0"),
        ("[selftest]\np95_cpu_us = { cuda = 1e308 }", "at most 1e"),
        ("[selftest]\nmargin = 1e308", "at most 1e"),
        ("[selftest]\nfloor_us = 1e308", "at most 1e"),
        ("[selftest]\ntolerance_steps = 1e308", "at most 1e"),
        ("[selftest]\nmemory_bytes = -1", "at least 0"),
        ("[calibration]\nseed = -1", "at least 0"),
        ("[limits]\ndeadline_s = 1e308", "at most 1e"),
        ("[training]\ndeadline_s = 1e308", "at most 1e"),
        ("[edgetpu]\ntimeout_s = 1e308", "at most 1e"),
        ("[guard]\nmax_accuracy_drop = 3", "a fraction of 0 to 1"),
        ("[input]\nshape = [0]", "every dimension is at least 1"),
        ("[input.preprocessing]\nscale = '1/255'", "no setting 'input.preprocessing.scale'"),
        ("[input.preprocessing]\nrange = [0, 0]", "input.preprocessing: range: expected two"),
        ("[limits]\ndeadline_s = 0", "above 0"),
        ("model = 'No Name'", "a-z, 0-9"),
        ("model = ", "recipe.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=r"recipe\.toml") as caught:
        recipe.read(write(tmp_path, text))
    assert words in str(caught.value)


def test_a_recipe_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        recipe.read(tmp_path / "gone.toml")

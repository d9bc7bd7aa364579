"""The same CNN from every format: read by the framework's own words, and the same in the end."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from converter.importers.conftest import KERAS, LAST, Made, Read
from littoral.errors import MissingExtraError
from littoral.model.backends import open_session
from littoral_converter.importers import program, readers
from littoral_converter.quantizing import INT8
from littoral_converter.source import Kind

# Where a format keeps no names, or its writer put its own in their place.
UNNAMED = ("image", "output")
NAMES = {"digits.pt2": ("input", "output"), "saved": UNNAMED, "float.tflite": UNNAMED}


def test_every_format_was_read_by_its_content(made: dict[str, Made]) -> None:
    """None of the files had a name that tells; Keras goes by that."""
    assert len(made) >= 5
    if "digits.pt2" not in made:
        pytest.skip("PyTorch is not installed: its way in was not looked at")


def test_a_program_answers_as_the_framework_that_it_comes_from(made: dict[str, Made]) -> None:
    for name, one in made.items():
        assert np.abs(one.answers(program.FLOAT) - one.truth).max() < 1e-5, name


def test_integers_agree_pairwise_whatever_the_model_was(made: dict[str, Made]) -> None:
    classes = {name: one.answers(INT8).argmax(axis=1) for name, one in made.items()}
    for (first, a), (second, b) in itertools.combinations(classes.items(), 2):
        assert (a == b).mean() >= 0.99, (first, second)


def test_a_program_has_batch_1_its_channels_last_and_names(made: dict[str, Made]) -> None:
    names = {}
    for name, one in made.items():
        session = open_session("litert", (one.folder / program.FLOAT).read_bytes())
        (taken,), (given,) = session.inputs, session.outputs
        assert (taken.shape, given.shape) == ((1, *KERAS), (1, 10)), name
        names[name] = taken.name, given.name
    assert names == {name: NAMES.get(name, ("image", "digit")) for name in made}


def test_only_models_with_channels_first_want_their_samples_turned(made: dict[str, Made]) -> None:
    turned = {name for name, one in made.items() if one.program.axes == LAST}
    assert turned == {"digits.onnx", "digits.pt2"} & made.keys()
    assert all(not one.program.axes for name, one in made.items() if name not in turned)


def test_where_tensorflow_was_the_way_there_is_a_saved_model(made: dict[str, Made]) -> None:
    for one in made.values():
        assert one.program.saved == (one.folder / program.SAVED / "saved_model.pb").exists()
    assert made["digits.onnx"].program.saved


def test_samples_with_their_channels_last_do_for_a_model_that_has_them_first(
    read: Read, formats: Path, models: Path, tmp_path: Path, made: dict[str, Made]
) -> None:
    found = read(formats / "digits.onnx", np.load(models / "test.npz")["x"][:20])
    assert found.axes == ()
    answers = np.load(tmp_path / "shop" / program.ANSWERS)
    assert np.abs(answers - made["digits.onnx"].truth[:20]).max() < 1e-5


def test_a_missing_package_is_told_with_both_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "find_spec", lambda name: None if name == "onnx2tf" else name)
    assert readers.need(Kind.TFLITE) == "import-tflite"
    with pytest.raises(MissingExtraError) as caught:
        readers.need(Kind.ONNX)
    words = str(caught.value)
    assert "'onnx2tf'" in words
    assert "pip install 'littoral[converter]', then: pip install --no-deps -r " in words
    assert Path(words.split(" -r ")[1]).is_file()

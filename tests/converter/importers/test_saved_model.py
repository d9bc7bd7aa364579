"""SavedModels: which signature is meant, and that none of them touches the machine."""

from pathlib import Path

import numpy as np
import pytest

from converter.importers.conftest import Read
from littoral.errors import ConversionError, MisuseError
from littoral_converter.importers import program, saved_model

SAMPLES = np.ones((3, 4), np.float32)


def test_the_usual_signature_is_meant_or_the_only_one_or_the_named_one() -> None:
    assert saved_model.choose("m", ["a", "serving_default"], None) == "serving_default"
    assert saved_model.choose("m", ["a"], None) == "a"
    assert saved_model.choose("m", ["a", "b"], "b") == "b"


def test_which_signatures_there_are_is_told() -> None:
    with pytest.raises(MisuseError, match=r"the signatures a, b.*\[input\] signature = 'a'"):
        saved_model.choose("m", ["b", "a"], None)
    with pytest.raises(MisuseError, match="no signature 'c'; there are: a, b"):
        saved_model.choose("m", ["b", "a"], "c")
    with pytest.raises(ConversionError, match="has no signature; save it with one"):
        saved_model.choose("m", [], None)


def test_a_signature_that_only_computes_is_read_beside_one_that_does_more(
    read: Read, formats: Path, tmp_path: Path
) -> None:
    read(formats / "several", SAMPLES, signature="twice", output_name="double")
    answers = np.load(tmp_path / "shop" / program.ANSWERS)
    assert (answers == 2).all()


def test_a_graph_that_writes_files_is_refused_before_it_runs(read: Read, formats: Path) -> None:
    with pytest.raises(ConversionError, match="its graph has WriteFile: operators that touch"):
        read(formats / "several", SAMPLES, signature="writes")
    assert not (formats / "canary").exists()

"""Real Keras 3 models rebuilt in tf-keras: each Keras in a process of its own."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from littoral_converter import legacy

if find_spec("tf_keras") is None:
    pytest.skip("the packages of without-dependencies.txt are missing", allow_module_level=True)
HERE = Path(__file__).parent
_REBUILD = """
import json, os, sys
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
from pathlib import Path
from littoral.errors import LittoralError
from littoral_converter import legacy
told = {}
for folder in map(Path, sys.argv[1:]):
    try:
        model = legacy.rebuild(folder, say=lambda progress: None)
    except LittoralError as e:
        told[folder.name] = e.line
    else:
        told[folder.name] = [type(layer).__name__ for layer in model.layers]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("legacy")
    run(HERE / "make_legacy.py", folder)
    changed(folder / "series", folder / "twisted", legacy.WEIGHTS, "gru/1")
    changed(folder / "pictures", folder / "cut", legacy.WEIGHTS, "shared/1", lose=True)
    return folder


@pytest.fixture(scope="module")
def rebuilt(described: Path) -> dict[str, object]:
    wanted = [path for path in sorted(described.iterdir()) if not (path / "refused").exists()]
    found: dict[str, object] = json.loads(run("-c", _REBUILD, *wanted))
    return found


def run(*args: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def changed(source: Path, to: Path, file: str, key: str, *, lose: bool = False) -> None:
    """Copy a description, and change one array of it."""
    shutil.copytree(source, to)
    with np.load(to / file) as held:
        arrays = dict(held)
    arrays[key] = arrays[key][:-1] if lose else arrays[key][:, ::-1]
    np.savez(to / file, **arrays)


def test_what_keras_2_lacks_or_means_otherwise_is_translated(rebuilt: dict[str, object]) -> None:
    """Rebuilding compares answers, so that what comes out answers alike."""
    series, pictures = rebuilt["series"], rebuilt["pictures"]
    assert isinstance(series, list)
    assert {"MultiHeadAttention", "Bidirectional", "LSTM", "GRU", "LeakyReLU"} <= set(series)
    assert series.count("LSTM") == 2
    assert isinstance(pictures, list)
    assert "Sequential" in pictures
    assert pictures.count("Conv2D") == 1


def test_mixed_precision_is_compared_in_full_precision(rebuilt: dict[str, object]) -> None:
    assert rebuilt["halves"] == ["Dense", "Dense"]


def test_what_tf_keras_lacks_is_named(rebuilt: dict[str, object]) -> None:
    assert rebuilt["lacking"] == (
        "error: layer 'root' (RMSNormalization): tf-keras has no such layer [conversion]"
    )
    assert "(Sort): no layer of tf-keras does this [conversion]" in str(rebuilt["sorting"])


def test_a_class_of_the_authors_own_is_refused(described: Path) -> None:
    refused = (described / "own" / "refused").read_text()
    assert "a class of its own (Own)" in refused


def test_a_layer_that_answers_otherwise_is_named(rebuilt: dict[str, object]) -> None:
    assert str(rebuilt["twisted"]).startswith("error: layer 'gru")
    assert "(GRU) answers otherwise in tf-keras than in Keras 3" in str(rebuilt["twisted"])


def test_weights_that_do_not_fit_are_named(rebuilt: dict[str, object]) -> None:
    assert "layer 'shared' (Conv2D): tf-keras has weights of" in str(rebuilt["cut"])

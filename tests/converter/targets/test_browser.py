"""The target browser, where no more is installed than the extra `converter` brings."""

import subprocess
import sys
from pathlib import Path

import pytest

from patience import patient

WRITE = """
import sys
from pathlib import Path

sys.modules["jax"] = sys.modules["flax"] = None  # as where the extra `torch` is not installed

import numpy as np
import tensorflow as tf

from littoral.bundle.manifest import Tensor
from littoral_converter.targets import browser

here = Path(sys.argv[1])
spec = tf.TensorSpec((1, 4), tf.float32, name="x")
program = tf.Module()
program.weights = tf.Variable(tf.ones((4, 2)))
program.__call__ = tf.function(lambda x: {"y": x @ program.weights}, input_signature=[spec])
tf.saved_model.save(program, str(here / "saved"), signatures=program.__call__)

x = np.arange(12, dtype=np.float32).reshape(3, 4)
np.save(here / "x.npy", x)
np.save(here / "y.npy", x @ np.ones((4, 2), np.float32))
made = browser.run(
    browser.Job(
        saved=here / "saved", folder=here, out=here / "page", samples=here / "x.npy",
        answers=here / "y.npy", name="sums", label="sums:1", task="regression",
        input=Tensor(name="x", shape=(1, 4), dtype="float32"),
        output=Tensor(name="y", shape=(1, 2), dtype="float32"),
        preprocessing=None, labels=None, weights="float32", examples=2,
    ),
    say=lambda _: None,
)
found = np.load(here / browser.ANSWERS)
print(made.checked, *found[:, 0])
"""


@pytest.mark.slow
def test_a_page_is_written_where_jax_is_not_installed(tmp_path: Path) -> None:
    """TF.js's package imports it for a converter of its own that nothing here asks for."""
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=patient(300),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True 6.0 22.0 38.0"
    assert (tmp_path / "page/model.json").is_file()

"""A conversion without a network: nothing of it fetches anything, or tells anybody anything."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from patience import patient

MODEL = Path(__file__).parents[1] / "fixtures" / "tiny_float.onnx"
ALONE = ("unshare", "--user", "--map-root-user", "--net")  # not even a loopback is up


def test_a_model_is_converted_where_there_is_no_network(tmp_path: Path) -> None:
    if subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine makes no network namespaces")
    home = tmp_path / "home"
    home.mkdir()
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((100, 8, 8, 1), np.float32))
    words = [str(MODEL), "-o", "out", "--calibration", "x.npz"]
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "littoral", "convert", *words],
        cwd=tmp_path,
        env=kept | {"HOME": str(home), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=patient(120),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/manifest.json").is_file()
    assert not list(home.rglob("*Microsoft*")), "ONNX Runtime would have told its maker"

"""Real models, trained once, and one real conversion of them that many tests look at."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from once import once
from patience import patient

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Littoral = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests convert is kept for the other tests, and not among a person's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def littoral() -> Littoral:
    """Run ``littoral`` as people do."""

    def run(*args: object) -> Ran:
        command = [sys.executable, "-m", "littoral", *map(str, args)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=patient(300), check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Keras models and of samples for them."""

    def make(folder: Path) -> None:
        command = [sys.executable, str(HERE / "make_models.py"), str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    return once(tmp_path_factory, "models", make)


@dataclass(frozen=True)
class Converted:
    """The digits, converted: the bundle and what the command printed."""

    bundle: Path
    said: Any


@pytest.fixture(scope="session")
def digits(models: Path, littoral: Littoral, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    def make(folder: Path) -> None:
        names = folder / "names.txt"
        names.write_text("zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n")
        said = littoral(
            "convert", models / "digits.keras", "-o", folder / "digits-1", "--json",
            "--calibration", models / "train.npz", "--evaluation", models / "test.npz",
            "--name", "digits", "--label", "2026.11", "--labels", names,
        )  # fmt: skip
        (folder / "said.json").write_text(json.dumps(said.json))

    folder = once(tmp_path_factory, "converted", make)
    return Converted(folder / "digits-1", json.loads((folder / "said.json").read_text()))

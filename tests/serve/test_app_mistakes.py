"""What serve says of a mistake before it serves: one line, and how it ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from littoral.errors import MisuseError
from littoral_serve import app, settings
from simulators.served import FIXTURES, Device, command

FILE = f"tiny={FIXTURES}/tiny_int8.tflite"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.mark.parametrize("module", ["littoral_serve", "littoral serve"])
@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["--model", "tiny"], 2, "error: --model: expected NAME=PATH, found 'tiny' [usage]"),
        (["--model", "a.b=x"], 2, "error: --model: expected a name of 1 to 64 letters, digits, "),
        (["--model", "a=/none"], 1, "error: /none: No such file or directory [storage]"),
        (
            ["--model", FILE, "--model", FILE],
            2,
            "error: --model: expected each name once, found 'tiny' again [usage]",
        ),
        (["--model", f"a={__file__}"], 1, f"error: {__file__}: LiteRT refuses this model"),
        (["--data", "/tmp", "--http", "nonsense"], 2, "error: 'http': expected HOST:PORT"),
        (["--model", "a=b", "--http", "192.0.2.1:80"], 2, "error: cannot listen on 192.0.2.1:80"),
        (["--nonsense"], 2, "error: No such option"),
    ],
)
def test_a_mistake_is_one_line(module: str, words: list[str], status: int, line: str) -> None:
    head, *rest = module.split()
    if "--http" not in words:
        words = ["--http", "127.0.0.1:0", *words]
    done = command(*rest, *words, module=head)
    assert (done.returncode, done.stdout) == (status, "")
    (told,) = [found for found in done.stderr.splitlines() if not found.startswith("INFO")]
    assert line in told
    assert told.endswith("]")


def test_with_nothing_to_serve_it_says_what_there_could_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path / "none")
    with pytest.raises(MisuseError, match="expected --data DIR, or --model NAME=PATH"):
        app.main(app.Options())


def test_a_wrong_setting_names_the_right_one(device: Device) -> None:
    (device.tree.root / "serve.toml").write_text("windows_s = 3\n")
    done = command("--data", str(device.tree.root))
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {device.tree.root}/serve.toml: no setting 'windows_s'; "
        "did you mean 'window_s'? [setting]\n"
    )


def test_a_folder_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("--data", str(tmp_path / "file/data"), "--http", "127.0.0.1:0")
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {tmp_path}/file/data/run: Not a directory [storage]\n",
    )


def test_too_few_descriptors_are_one_line() -> None:
    limited = ["sh", "-c", 'ulimit -n 5; exec "$0" "$@"', sys.executable, "-m", "littoral_serve"]
    words = [*limited, f"--model={FILE}", "--http=127.0.0.1:0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "error: Too many open files: 'ulimit -n' says how many this process may open [storage]\n"
    assert done.stderr.startswith(said)  # what follows is asyncio's, whose loop was half made

"""What is asked of bench in vain is refused in a line, before anything is measured."""

import contextlib
import time
from pathlib import Path

import pytest

from littoral_serve.bench import running
from simulators.benched import QUICK, TINY, refused


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("nobody", "--data", "/nonexistent"), 2, "expected a file, a bundle, or a model"),
        ((TINY, "--threads", "many"), 2, "expected auto or a number"),
        ((TINY, "--sweep", "--compare", TINY), 2, "two questions"),
        ((TINY, "--scenario", "closed"), 2, "single-stream"),
        ((TINY, "--duration", "-1"), 2, "--duration"),
        ((TINY, "--backend", "edgetpu"), 1, "[backend-missing]"),
        ((__file__,), 2, "expected a .tflite"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    words: tuple[str, ...], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, err = refused(capsys, *words)
    assert found == status
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ("--duration", "0"),
        ("--memory-limit", "inf"),
        ("--memory-limit", "nan"),
        ("--margin", "nan"),
        ("--rate", "5"),
        ("--samples", "4"),
        ("--scenario", "server", "--rate", "inf"),
        ("--scenario", "server", "--rate", "1e-300"),
        ("--html", "/proc/nowhere/page.html"),
        ("--write-budget", "/proc/nowhere"),
    ],
)
def test_numbers_that_are_none_and_a_page_that_has_no_place_are_refused_before_measuring(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    status, err = refused(capsys, TINY, "--no-operators", *words)
    assert (status, err.count("\n")) == (2, 1), err
    assert words[-2] in err


def test_a_page_for_which_there_is_no_room_is_refused_before_measuring(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (small_disk / "full").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    began = time.monotonic()
    status, err = refused(capsys, TINY, "--duration", "60", "--html", str(small_disk / "p.html"))
    assert (status, err.count("\n")) == (1, 1), err
    assert "[disk-full]" in err
    assert time.monotonic() - began < 40


def test_a_page_does_not_take_the_models_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "tiny.tflite"
    model.write_bytes(Path(TINY).read_bytes())
    status, err = refused(capsys, str(model), *QUICK, "--html", str(model))
    assert (status, ".html" in err) == (2, True)
    assert model.read_bytes() == Path(TINY).read_bytes()


def test_what_nobody_could_be_told_of_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run", lambda *_, **__: pytest.fail("it was measured"))
    status, err = refused(capsys, TINY, "--publish", "--data", str(tmp_path))
    assert (status, "no agent takes it" in err) == (1, True)


def test_a_model_that_is_none_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.tflite"
    file.write_bytes(Path(TINY).read_bytes()[:300])
    status, err = refused(capsys, str(file))
    assert status == 1
    assert err.count("\n") == 1


def test_a_result_of_nobodys_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"format": 1}')
    assert "expected a result of bench" in refused(capsys, str(file))[1]
    file.write_text('{"instances": [[1]]}')
    assert "printed; this is another file" in refused(capsys, str(file))[1]
    file.write_text('{"format": 99}')
    assert "unsupported-format" in refused(capsys, str(file))[1]

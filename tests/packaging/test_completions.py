"""Tab in a shell, with either package or both; and what the packages bring for that."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deb.completions import every
from deb.contents import COMPLETIONS, SHELLS
from deb.targets import ROOT
from patience import patient

BIN = ROOT / ".venv/bin"
BASH = shutil.which("bash")
ASK_BASH = """
source "$1"
COMP_WORDS=(littoral "${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_littoral_completion littoral 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_they_are_as_click_makes_them() -> None:
    run = "PYTHONPATH=packaging .venv/bin/python -m deb.completions"
    for name, script in every():
        assert (COMPLETIONS / name).read_text() == script, f"run: {run}"
    assert {path.name for path in COMPLETIONS.iterdir()} == {name for name, _ in every()}


def test_both_packages_may_be_installed() -> None:
    places = [place for held in SHELLS.values() for place in held.values()]
    assert len(set(places)) == len(places)
    assert all(set(held) == {"bash", "zsh", "fish"} for held in SHELLS.values())


def in_bash(*words: str, path: Path) -> list[str]:
    if BASH is None:
        pytest.skip("bash is not installed")
    done = subprocess.run(
        [BASH, "-c", ASK_BASH, "-", str(COMPLETIONS / "bash"), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=patient(60),
        env={"PATH": f"{path}:/usr/bin:/bin"},
    )
    return done.stdout.split()


def test_bash_completes_commands_and_options() -> None:
    if not (BIN / "littoral").exists():
        pytest.skip("there is no checkout's command")
    assert "doctor" in in_bash("doc", path=BIN)
    assert {"enroll", "fleet", "status"} <= set(in_bash("", path=BIN))
    assert "check" in in_bash("config", "", path=BIN)
    assert "--json" in in_bash("doctor", "--", path=BIN)
    assert in_bash("nosuch", "x", path=BIN) == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_answered(shell: str) -> None:
    words = {"zsh": ("littoral doc", "1"), "fish": ("littoral doc", "doc")}[shell]
    done = subprocess.run(
        [BIN / "littoral"],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(60),
        env={
            "PATH": os.environ["PATH"],
            "_LITTORAL_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": words[0],
            "COMP_CWORD": words[1],
        },
    )
    assert "doctor" in done.stdout
    assert done.stderr == ""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The packages' command, before two trees that say which of them was asked."""
    for tree in ("littoral", "littoral-console"):
        package = tmp_path / tree / "littoral"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(f"print('plain,{tree}')\n")
    launcher = tmp_path / "bin/littoral"
    launcher.parent.mkdir()
    text = (ROOT / "packaging/files/launcher").read_text()
    launcher.write_text(text.replace("/usr/lib/littoral", f"{tmp_path}/littoral"))
    launcher.chmod(0o755)
    return launcher


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("",), ["littoral", "littoral-console"]),
        (("fl",), ["littoral", "littoral-console"]),
        (("fleet", ""), ["littoral-console"]),
        (("fleet", "devices", "--"), ["littoral-console"]),
        (("doctor", ""), ["littoral"]),
    ],
)
def test_the_first_word_may_be_of_either_package(
    installed: Path, words: tuple[str, ...], asked: list[str]
) -> None:
    assert in_bash(*words, path=installed.parent) == asked


@pytest.mark.parametrize(
    ("words", "both"), [((), True), (("--help",), True), (("-h",), True), (("status",), False)]
)
def test_the_help_tells_of_both_packages(
    installed: Path, tmp_path: Path, words: tuple[str, ...], *, both: bool
) -> None:
    told = "import sys; print([p for p in sys.path if p.endswith('littoral-console')])\n"
    (tmp_path / "littoral/littoral/__main__.py").write_text(told)
    done = subprocess.run([installed, *words], capture_output=True, text=True, check=True, env={})
    assert ("littoral-console" in done.stdout) == both


@pytest.mark.parametrize(
    ("line", "token", "asked"),
    [
        ("littoral ", "", 2),
        ("littoral fl", "fl", 2),
        ("littoral fleet ", "", 1),
        ("littoral fleet *", "*", 1),
    ],
)
def test_fish_says_the_word_where_others_say_its_number(
    installed: Path, tmp_path: Path, line: str, token: str, asked: int
) -> None:
    done = subprocess.run(
        [installed],
        capture_output=True,
        text=True,
        check=True,
        env={"_LITTORAL_COMPLETE": "fish_complete", "COMP_WORDS": line, "COMP_CWORD": token},
        cwd=tmp_path,
    )
    assert len(done.stdout.split()) == asked

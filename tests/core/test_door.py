"""The one command: an error is one line with a code, and the exit code says whose it is."""

import io
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from littoral import __version__, door
from littoral.commands.output import emit
from patience import patient

ROOM = '''
"""A room of the test's own."""
import click
from littoral.errors import DeniedError

@click.command()
@click.option("--to")
def hello(to):
    """Say hello."""
    click.echo("hello")

@click.command()
def denied():
    """Ask in vain."""
    raise DeniedError("expected a yes,\\n   found a no")

@click.command()
def broken():
    """Fail as nobody meant it to."""
    raise RuntimeError("nobody thought of this")

@click.command()
def late():
    """Import where it is needed."""
    import a_package_that_nobody_has.part

@click.command()
@click.argument("path")
def locked(path):
    """Write where nobody may."""
    open(path + "/below", "w")

@click.group()
def harbour():
    """Hold commands."""

@harbour.command()
def moor():
    """Moor."""
'''


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution that registers commands, as an installed room does."""
    folder = tmp_path_factory.mktemp("rooms")
    about = folder / "shore-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shore\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[littoral.commands]\n"
        "hello = shore:hello\n"
        "denied = shore:denied\n"
        "broken = shore:broken\n"
        "needy = shore_needy:needy\n"
        "late = shore:late\n"
        "locked = shore:locked\n"
        "harbour = shore:harbour\n"
    )
    (folder / "shore.py").write_text(ROOM)
    (folder / "shore_needy.py").write_text("import a_package_that_nobody_has\n")
    return folder


def littoral(rooms: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "littoral", *args],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
        env={"PYTHONPATH": str(rooms), "PATH": "/usr/bin:/bin"},
    )


def test_a_rooms_command_is_found(rooms: Path) -> None:
    done = littoral(rooms, "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")


def test_an_error_is_one_line_with_its_code(rooms: Path) -> None:
    done = littoral(rooms, "denied")
    assert done.returncode == 1
    assert done.stderr == "error: expected a yes, found a no [denied]\n"
    assert not done.stdout


def test_what_nobody_thought_of_is_one_line_too(rooms: Path) -> None:
    done = littoral(rooms, "broken")
    assert done.returncode == 1
    assert done.stderr.startswith("error: RuntimeError: nobody thought of this; ")
    assert done.stderr.endswith(" [defect]\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["denied", "broken"])
def test_debug_shows_where_an_error_was_raised(rooms: Path, command: str) -> None:
    done = littoral(rooms, "--debug", command)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["helo"], "no command 'helo'; did you mean 'hello'?"),
        (["qqqqqq"], "no command 'qqqqqq'; there are: "),
        (["hello", "--loud"], "No such option"),
        (["--loud"], "No such option"),
        (["hello", "you"], "unexpected extra argument"),
        (["hello", "--to"], "'--to' requires an argument; see 'littoral hello --help'"),
    ],
)
def test_a_misuse_is_one_line_and_exits_2(rooms: Path, args: list[str], words: str) -> None:
    done = littoral(rooms, *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(" [usage]\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["needy", "late"])
def test_a_room_without_its_packages_says_what_to_install(rooms: Path, command: str) -> None:
    done = littoral(rooms, command)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: 'littoral {command}' needs the Python package 'a_package_that_nobody_has', "
        "which is not installed; run: pip install 'littoral[all]' [missing-extra]\n"
    )


def test_help_lists_the_commands_of_two_parts_of_one_name(rooms: Path, tmp_path: Path) -> None:
    about = tmp_path / "shore-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shore\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[littoral.commands]\nberth = shore:hello\n")
    shown = subprocess.run(
        [sys.executable, "-m", "littoral", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{rooms}:{tmp_path}", "PATH": "/usr/bin:/bin"},
    ).stdout
    assert "  hello " in shown
    assert "  berth " in shown


def test_help_lists_every_command_even_one_that_cannot_run(rooms: Path) -> None:
    done = littoral(rooms, "--help")
    assert done.returncode == 0
    assert "Say hello." in done.stdout
    assert "(not installed: needs a_package_that_nobody_has)" in done.stdout


def test_the_version_is_told(rooms: Path) -> None:
    assert littoral(rooms, "--version").stdout.strip() == f"littoral, version {__version__}"


def test_what_a_disk_refuses_is_no_defect(rooms: Path) -> None:
    file = rooms / "shore.py"
    done = littoral(rooms, "locked", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {file}/below: Not a directory; ")
    assert done.stderr.endswith(" [storage]\n")


def test_a_command_of_a_part_that_is_not_here_says_which_part_has_it() -> None:
    assert "it comes with littoral[console]" in door._hint("fleet")
    points = entry_points(group=door.GROUP)
    whose = {p.name: door._EXTRAS.get(p.module.partition(".")[0]) for p in points}
    known = {name: extra for name, extra in whose.items() if extra}
    assert known | {"predict": "serve"} == door._ELSEWHERE  # core's, over serve's packages


@pytest.mark.parametrize(("args", "words"), [((), "Say hello."), (("harbour",), "Moor.")])
def test_a_bare_group_shows_its_help(rooms: Path, args: tuple[str, ...], words: str) -> None:
    done = littoral(rooms, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: littoral ")
    assert words in done.stderr


def test_a_shell_that_asks_for_more_words_hears_no_error(rooms: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from littoral.door import littoral; littoral(prog_name='littoral')",
        ],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
        env={
            "PYTHONPATH": str(rooms),
            "PATH": "/usr/bin:/bin",
            "_LITTORAL_COMPLETE": "bash_complete",
            "COMP_WORDS": "littoral nosuch ",
            "COMP_CWORD": "2",
        },
    )
    assert done.stderr == ""


def test_what_a_terminal_has_no_letters_for_is_written_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", out)
    assert door.main(["--version"]) == 0
    emit({"name": "…"}, as_json=True, text="")
    out.flush()
    assert out.buffer.getvalue().endswith(b'{"name":"\\u2026"}\n')

"""The pages say what the code does: every setting, code, command and message, and every link."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import click
import pytest

from littoral import errors
from littoral.bundle.manifest import Hardware, Task
from littoral.commands.output import short_help
from littoral.wire.journal import State
from littoral.wire.messages import Status

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_generated_parts_are_as_the_code_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/make.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run: make docs\n{done.stdout}{done.stderr}"


def test_every_error_code_has_its_meaning_and_what_to_do() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    told = re.findall(r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    ours = [cls.code for cls in errors.every() if cls.__module__ == errors.__name__]
    assert sorted(code for code, _, _ in told) == sorted(ours)


def test_a_misuse_is_documented_as_one() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    misuses = page.partition("## A misuse")[2].partition("\n## ")[0]
    ours = {cls.code for cls in errors.every(errors.MisuseError)}
    assert set(re.findall(r"^\| `([a-z-]+)`", misuses, re.MULTILINE)) == ours


def test_the_words_of_the_code_are_in_the_glossary() -> None:
    page = (ROOT / "docs/words.md").read_text()
    fields = Status.__annotations__
    words = [*get_args(Hardware), *get_args(Task), *get_args(fields["clock"])]
    words += [state.value for state in State]
    words += ["queue", "preprocess", "invoke", "postprocess", "first-use"]
    assert [word for word in words if word not in page] == []


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        where, _, anchor = link.partition("#")
        target = (page.parent / where).resolve() if where else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_each_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    told = {page for page in (ROOT / "docs").glob("*.md") if f"({name(page)})" not in readme}
    assert told == set()


def test_the_tour_names_serves_packages() -> None:
    tour = (ROOT / "docs/tour.md").read_text()
    for package in (ROOT / "agent/littoral_serve").glob("*/__init__.py"):
        assert f"| `{package.parent.name}` |" in tour, package


def test_pages_that_the_code_names_are_there() -> None:
    for folder in ("core", "agent", "converter", "console", "demo", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for page in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text()):
                assert (ROOT / page).exists(), f"{name(path)} names {page}"


def commands(page: Path) -> Iterator[str]:
    """Walk the commands in a page: lines of its blocks of shell, and what stands in `…`."""
    text = page.read_text().replace("\\\n", " ")  # one command may be several lines
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from (line.partition("  #")[0].strip() for line in block.splitlines())
    yield from re.findall(r"`(littoral [^`…]+|make \w+[^`…]*)`", text)


def test_what_is_installed_is_installed_from_a_clone() -> None:
    """No index has littoral: who asked one for it found nothing, or a stranger's package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].keys()
    lines = [
        line
        for page in PAGES
        for line in re.findall(r"\bpip3? install [^`\n]*", page.read_text())
        if "'" in line or " -r " in line
    ]
    assert lines
    for line in lines:
        assert "littoral[" not in line, line
        for named in re.findall(r"'\.\[([\w,]+)\]'", line):
            assert extras >= set(named.split(",")), line
        for file in re.findall(r" -r (\S+)", line):
            assert (ROOT / file).is_file(), line


BY_HAND = [page for page in PAGES if page.name != "commands.md"]


@pytest.mark.parametrize("page", BY_HAND, ids=name)
def test_commands_in_the_pages_are_commands(page: Path) -> None:
    for line in commands(page):
        first, *words = shlex.split(line) or [""]
        if first == "littoral" and words and words[0] not in ("--debug", "--help"):
            check_command(line, words)
        elif first == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line


def check_command(line: str, words: list[str]) -> None:
    """Follow ``words`` down to a command, and let it parse the rest."""
    points = {point.name: point for point in entry_points(group="littoral.commands")}
    assert words[0] in points, line
    command: click.Command = points[words.pop(0)].load()
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        below = command.commands.get(words[0])
        assert below is not None, line
        command, words = below, words[1:]
    try:
        with command.make_context("littoral", words, resilient_parsing=True):
            pass
    except click.NoSuchOption as e:
        pytest.fail(f"{line}: {e}")


@pytest.mark.parametrize(
    "point", entry_points(group="littoral.commands"), ids=lambda point: str(point.name)
)
def test_every_command_has_help_with_an_example(point: "object") -> None:
    for path, command in below(point.load(), f"littoral {point.name}"):  # type: ignore[attr-defined]
        context = click.Context(command, info_name=path)
        assert command.help, path
        shown = command.get_help(context)
        if not isinstance(command, click.Group):
            assert "littoral" in shown.partition("Example")[2], path
            continue
        for name, sub in command.commands.items():
            assert short_help(sub) in " ".join(shown.split()), f"{path} cuts short {name}"


def below(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            yield from below(sub, f"{path} {name}")


def test_every_record_on_the_wire_is_in_its_page() -> None:
    page = (ROOT / "docs/messages.md").read_text()
    for module in ("messages", "telemetry", "enrolment", "identity"):
        source = (ROOT / f"core/littoral/wire/{module}.py").read_text()
        for record in re.findall(r"^class ([A-Z]\w+)", source, re.MULTILINE):
            assert f"### {record}\n" in page

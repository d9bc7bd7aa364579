"""A stripped library is smaller, is still one to the tools, and still runs."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from deb.elf import is_elf, machine, strip
from simulators.packages import need


@pytest.fixture
def library() -> Path:
    """One with symbols, as its wheel brings it."""
    spec = importlib.util.find_spec("httptools.parser.parser")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def test_it_still_runs(library: Path, tmp_path: Path) -> None:
    stripped = strip(library.read_bytes())
    assert len(stripped) < library.stat().st_size / 2
    (tmp_path / library.name).write_bytes(stripped)
    code = """
import importlib.machinery, importlib.util, sys
import httptools.parser
spec = importlib.util.spec_from_file_location("httptools.parser.parser", sys.argv[1])
parser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parser)
class Heard:
    def on_url(self, url): print(url)
parser.HttpRequestParser(Heard()).feed_data(b"GET /here HTTP/1.1\\r\\n\\r\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / library.name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "b'/here'\n"


def test_tools_still_read_it(library: Path, tmp_path: Path) -> None:
    path = tmp_path / "stripped.so"
    path.write_bytes(strip(library.read_bytes()))
    words = [need("readelf"), "--wide", "--sections", "--dynamic", "--notes"]
    done = subprocess.run([*words, path], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert ".text" in done.stdout
    assert ".symtab" not in done.stdout
    before = subprocess.run([*words, library], capture_output=True, text=True, check=True)
    needed = [line.split("(NEEDED)")[1] for line in before.stdout.splitlines() if "NEEDED" in line]
    assert needed
    assert all(line in done.stdout for line in needed)


def test_twice_is_once(library: Path) -> None:
    once = strip(library.read_bytes())
    assert strip(once) == once
    assert machine(once) == machine(library.read_bytes())


def test_what_is_no_library_is_told_from_one() -> None:
    assert not is_elf(b"#!/bin/sh\n")
    assert not is_elf(b"\x7fELF\x01\x01 of 32 bits")

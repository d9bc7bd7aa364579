"""Every test that the pages name is there, so that none of them promises by a test that left."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NAMED = re.compile(r"`(tests/[\w/]+\.py|…)::(test_\w+)`")


def named(page: Path) -> Iterator[tuple[str, str]]:
    """Return file and name of each test; where a file stands for … it is the one before."""
    file = ""
    for where, test in _NAMED.findall(page.read_text()):
        file = file if where == "…" else where
        yield file, test


def test_every_test_that_a_page_names_is_there() -> None:
    found = [
        f"{page.name}: {file}::{test}"
        for page in sorted((ROOT / "docs").glob("*.md"))
        for file, test in named(page)
        if not (ROOT / file).is_file() or f"def {test}(" not in (ROOT / file).read_text()
    ]
    assert not found


def test_the_page_on_trust_names_a_test_for_each_promise() -> None:
    page = ROOT / "docs" / "trust.md"
    table = page.read_text().partition("which test breaks\n")[2].partition("\n## ")[0]
    promises = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(promises) > 20
    assert all(_NAMED.search(line) for line in promises)

"""The tree of errors, as it is drawn and as it is."""

import re
from datetime import UTC, datetime

from littoral import errors


def drawn() -> dict[str, str | None]:
    """Return every class in the drawing, and the one that it hangs from."""
    found: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"([│├└─\s]*)(\w+Error)\b", line):
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            found[match[2]] = above[depth - 1] if depth else None
    return found


def test_the_drawing_shows_the_tree() -> None:
    tree = {
        cls.__name__: None if cls is errors.LittoralError else cls.__bases__[0].__name__
        for cls in errors.every()
        if cls.__module__ == errors.__name__
    }
    assert drawn() == tree


def test_every_error_has_a_code_of_its_own() -> None:
    classes = [cls for cls in errors.every() if cls.__module__ == errors.__name__]
    codes = [cls.code for cls in classes]
    assert len(set(codes)) == len(codes)
    assert all("code" in vars(cls) for cls in classes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_what_a_command_prints_is_one_line() -> None:
    error = errors.StorageError("a disk\n  says so")
    assert error.line == "error: a disk says so [storage]"
    assert errors.DeniedError("no\x1b[2J\u2028\0").line == "error: no [2J [denied]"
    assert (error.exit_code, errors.SettingsError("x").exit_code) == (1, 2)


def test_messages_say_what_was_expected_and_what_was_found() -> None:
    now, then = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    assert "version 3 was offered, but version 4 was accepted" in str(
        errors.RollbackError("snapshot", offered=3, accepted=4)
    )
    assert str(errors.ExpiredError("root", expires=then, now=now)).startswith(
        "root: expired at 2026-04-01"
    )
    found = errors.HashError("model", signed="a" * 64, found="b" * 64)
    assert str(found) == "model: expected sha256 aaaaaaaaaaaa…, found bbbbbbbbbbbb…"
    found = errors.HashError("manifest", signed="a" * 64, found="nothing that fits")
    assert str(found) == "manifest: expected sha256 aaaaaaaaaaaa…, found nothing that fits"
    found = errors.HashError("blob", signed="more than 7", found="less", kind="length")
    assert str(found) == "blob: expected length more than 7, found less"
    assert "budget is 200 µs" in str(errors.LatencyError(p95_us=310.2, budget_us=200))
    assert "pip install 'littoral[agent]'" in str(
        errors.MissingExtraError("'littoral agent'", extra="agent", missing="paho")
    )

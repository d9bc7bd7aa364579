"""Which versions of a runtime a release takes."""

import pytest

from littoral.bundle.runtimes import Range


@pytest.mark.parametrize(
    ("text", "version", "admits"),
    [
        ("litert>=2.1", "2.1.0", True),
        ("litert>=2.1", "2.1", True),
        ("litert>=2.1", "2.10.0", True),
        ("litert>=2.1", "2.0.9", False),
        ("litert>=2.1.0.1", "2.1.0", False),
        ("litert>=2.1", "2.1.0rc1", False),
        ("litert>=2.1", "2.1.0.dev20260101", False),
        ("litert>=2.1", "2.2.0.dev20260101", True),
        ("litert>=2.1", "2.1.0.post1", True),
        ("litert>=2.1", "2.1.0+debian", True),
        ("litert>=2.1,<3", "2.99.1", True),
        ("litert>=2.1,<3", "3.0.0", False),
        ("litert>=2.1,<3", "3.0.0rc1", False),  # it is what was not tried
        ("litert>=2.1", "unknown", False),
        ("litert>=2.1", "", False),
    ],
)
def test_versions(text: str, version: str, *, admits: bool) -> None:
    assert Range.parse(text).admits(version) is admits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "litert",
        "litert>=",
        "litert>=2.",
        "litert>=.2",
        "litert>=2.1.0.0.1",
        "litert==2.1",
        "litert >= 2.1",
        "litert>=2.1,",
        "litert>=2.1,<2.1",
        "litert>=2.1,<2",
        "tensorrt>=8",
        "litert>=2.1\n",
        "litert>=2.1rc1",
        "litert>=99999999999",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|no version"):
        Range.parse(text)

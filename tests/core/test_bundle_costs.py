"""What a release costs a device: by what the device has, and no more than it needs."""

from dataclasses import replace

import pytest

from littoral.bundle import costs
from littoral.bundle.costs import Since
from littoral.bundle.manifest import (
    Encoding,
    File,
    Manifest,
    Requires,
    Selftest,
    Tensor,
    Tolerance,
    Variant,
)


def digest(word: str) -> str:
    return word.encode().hex().ljust(64, "0")


def zstd(word: str, size: int) -> Encoding:
    return Encoding(kind="zstd", sha256=digest(f"z{word}"), size=size)


def patch(word: str, base: str, size: int) -> Encoding:
    return Encoding(kind="patch", sha256=digest(f"p{word}{base}"), size=size, base=digest(base))


def manifest(release: int, model: File, **more: File) -> Manifest:
    tensor = Tensor(name="x", shape=(1,), dtype="int8")
    vector = File(sha256=digest("vector"), size=10)
    return Manifest(
        format=1,
        model="digits",
        release=release,
        label=str(release),
        task="classification",
        inputs=(tensor,),
        outputs=(tensor,),
        files={"in": vector, "out": vector, "report.html": File(sha256=digest("r"), size=999)}
        | {"model": model}
        | more,
        variants=(
            Variant(
                id="cpu",
                engine="tflite",
                files=("model",),
                requires=Requires(hardware=("cpu-x86_64",)),
            ),
        ),
        selftest=Selftest(count=1, inputs="in", outputs="out", tolerance=Tolerance(max_abs=0)),
        report="report.html",
    )


ONE = manifest(1, File(sha256=digest("one"), size=1000))
TWO = manifest(2, File(sha256=digest("two"), size=1000))
MODEL = File(
    sha256=digest("three"),
    size=1000,
    encodings=(zstd("three", 800), patch("three", "two", 30), patch("three", "one", 50)),
)
THREE = manifest(3, MODEL)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((), 800),
        (("one",), 50),
        (("one", "two"), 30),
        (("elsewhere",), 800),
        (("three",), 0),
    ],
)
def test_a_file_comes_in_the_least_that_a_device_can_decode(
    held: tuple[str, ...], expected: int
) -> None:
    assert costs.least(MODEL, {digest(word) for word in held}) == expected


def test_a_file_without_encodings_comes_as_it_is() -> None:
    assert costs.least(File(sha256=digest("x"), size=7), set()) == 7


def test_a_release_costs_by_what_a_device_has() -> None:
    (found,) = costs.costs(THREE, [ONE, TWO, THREE, replace(TWO, release=9)])
    assert (found.variant, found.plain, found.first) == ("cpu", 1020, 820)
    assert found.since == (Since(release=2, bytes=30), Since(release=1, bytes=50))


def test_of_releases_without_a_base_only_the_newest_is_told() -> None:
    """Its devices hold the self-test's vectors; so do those of all before, and that is no news."""
    (found,) = costs.costs(manifest(3, File(sha256=digest("three"), size=1000)), [ONE, TWO])
    assert found.since == (Since(release=2, bytes=1000),)


def test_who_has_the_very_model_already_is_told_however_old_it_is() -> None:
    again = replace(THREE, release=5)
    between = replace(TWO, release=4)
    (found,) = costs.costs(again, [between, THREE])
    assert found.since == (Since(release=4, bytes=30), Since(release=3, bytes=0))


def test_what_runs_on_other_hardware_helps_nobody() -> None:
    other = replace(
        TWO, variants=(replace(TWO.variants[0], requires=Requires(hardware=("cuda",))),)
    )
    (found,) = costs.costs(THREE, [other])
    assert found.since == ()


def test_files_are_told_in_each_way_and_those_for_people_are_not() -> None:
    model, *vectors = costs.by_file(THREE, [ONE, TWO])
    assert (model.name, model.plain, model.zstd) == ("model", 1000, 800)
    assert model.patches == (Since(release=2, bytes=30), Since(release=1, bytes=50))
    assert [(file.name, file.zstd, file.patches) for file in vectors] == [
        ("in", None, ()),
        ("out", None, ()),
    ]

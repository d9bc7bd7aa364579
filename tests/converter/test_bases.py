"""Which encodings are tried: what devices have, newest first, and no more than is bounded."""

import hashlib
from dataclasses import replace

import pytest

from littoral.bundle.manifest import (
    MAX_BYTES,
    MAX_FILES,
    Encoding,
    File,
    Manifest,
    Requires,
    Selftest,
    Tensor,
    Tolerance,
    Variant,
)
from littoral_converter import bases
from littoral_converter.bases import BUDGET, MOST_PACKED, MOST_PATCHED, plan

SIZE = 1000
MiB = 2**20


def digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def release(number: int, *, size: int = SIZE, **models: str) -> Manifest:
    """Return a release with one variant for each of ``models``: its id, and its file's name."""
    tensor = Tensor(name="x", shape=(1,), dtype="int8")
    files = {f: File(sha256=digest(f"{number}{f}"), size=size) for f in models.values()}
    files |= {name: File(sha256=digest(name), size=10) for name in ("in", "out")}
    files["report.html"] = File(sha256=digest(f"{number}r"), size=SIZE)
    return Manifest(
        format=1,
        model="digits",
        release=number,
        label=str(number),
        task="raw",
        inputs=(tensor,),
        outputs=(tensor,),
        files=files,
        variants=tuple(
            Variant(
                id=one, engine="tflite", files=(f,), requires=Requires(hardware=("cpu-x86_64",))
            )
            for one, f in models.items()
        ),
        selftest=Selftest(count=1, inputs="in", outputs="out", tolerance=Tolerance(max_abs=0)),
        report="report.html",
    )


def told(found: bases.Plan) -> list[tuple[str, int]]:
    return [(t.name, t.release) for t in found.tries]


FOUR = release(4, cpu="model")
OLDER = [release(number, cpu="model") for number in (3, 2, 1)]


def test_each_file_that_a_device_needs_is_tried_and_none_for_people() -> None:
    assert told(plan(FOUR, [])) == [("model", 0), ("in", 0), ("out", 0)]


def test_patches_start_from_the_namesakes_of_the_newest_releases() -> None:
    assert told(plan(FOUR, OLDER))[:4] == [("model", 0), ("model", 3), ("model", 2), ("model", 1)]
    assert told(plan(FOUR, OLDER, patches=1))[:3] == [("model", 0), ("model", 3), ("in", 0)]
    assert told(plan(FOUR, OLDER, patches=0)) == told(plan(FOUR, []))


def test_a_model_under_another_name_goes_by_its_variant() -> None:
    older = release(3, tpu="edge.tflite", cpu="old.tflite")
    (tried,) = [t for t in plan(release(4, cpu="new.tflite"), [older]).tries if t.release]
    assert tried.base == older.files["old.tflite"]
    assert not [t for t in plan(release(4, gpu="new.tflite"), [older]).tries if t.release]


def test_what_devices_never_held_is_no_base() -> None:
    named = replace(FOUR, labels="report.html", report=None)  # the older one had a report so called
    assert ("report.html", 0) in told(plan(named, OLDER))
    assert [t.name for t in plan(named, OLDER[:1]).tries if t.release] == ["model"]


def test_a_file_is_no_base_of_itself_and_no_base_is_tried_twice() -> None:
    same = replace(OLDER[0], files={**OLDER[0].files, "model": FOUR.files["model"]})
    again = replace(OLDER[2], files={**OLDER[2].files, "model": OLDER[1].files["model"]})
    assert [t.release for t in plan(FOUR, [same, OLDER[1], again]).tries if t.release] == [2]


def test_encodings_of_the_bundle_s_own_are_left_as_they_are() -> None:
    own = Encoding(kind="zstd", sha256=digest("own"), size=7)
    files = {**FOUR.files, "model": replace(FOUR.files["model"], encodings=(own,))}
    assert {t.name for t in plan(replace(FOUR, files=files), OLDER).tries} == {"in", "out"}


@pytest.mark.parametrize(
    ("size", "base", "kinds"),
    [
        (MOST_PATCHED, MOST_PATCHED, [0, 3]),
        (MOST_PATCHED + 1, SIZE, [0]),
        (SIZE, MOST_PATCHED + 1, [0]),
        (MOST_PACKED, SIZE, [0]),
        (MOST_PACKED + 1, SIZE, []),
    ],
)
def test_large_files_are_not_tried_and_that_is_said(size: int, base: int, kinds: list[int]) -> None:
    new, old = release(4, size=size, cpu="model"), release(3, size=base, cpu="model")
    found = plan(new, [old])
    assert [t.release for t in found.tries if t.name == "model"] == kinds
    assert bool(found.left_out) == (kinds != [0, 3])
    assert all("model" in said for said in found.left_out)


def test_all_patches_together_have_a_budget_and_the_newest_releases_come_first() -> None:
    each = MOST_PATCHED
    many = {f"v{k}": f"m{k}" for k in range(BUDGET // each - 1)}
    new = release(9, size=each, **many)
    found = plan(new, [release(n, size=each, **many) for n in (8, 7, 6)])
    tried = [t.release for t in found.tries if t.release]
    assert sorted(tried, reverse=True) == [8] * len(many) + [7]
    assert sum(t.file.size for t in found.tries if t.release) <= BUDGET
    assert len(found.left_out) == 3 * len(many) - len(tried)


def test_the_manifest_of_64_files_is_never_too_long_and_old_patches_go_first() -> None:
    many = {f"v{k}": "x" * 60 + f"{k:02}" for k in range(MAX_FILES - 3)}
    new = release(999, size=2 * MiB, **many)
    new = replace(new, label="y" * 20_000)  # and what else a manifest says
    older = [release(n, size=MiB, **many) for n in (8, 7, 6)]
    found = plan(new, older)
    tried = [t.release for t in found.tries]
    assert tried.count(0) == MAX_FILES - 1  # zstd of all but the report
    assert 0 < tried.count(8) <= len(many)
    assert tried.count(6) == 0
    assert tried.count(7) == 0 or tried.count(8) == len(many)
    assert len(bases._worst(new, list(found.tries))) <= MAX_BYTES
    (said,) = [said for said in found.left_out if "no room" in said]
    assert said.startswith(f"{3 * len(many) - sum(1 for n in tried if n)} patches")

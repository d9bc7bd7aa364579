"""The manifest: what it refuses, and which files a device needs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.bundle import manifest
from littoral.bundle.manifest import Manifest
from littoral.errors import MalformedError, UnsupportedFormatError

SHA = "0123456789abcdef" * 4
NAMES = ("model.tflite", "edge.tflite", "golden.in", "golden.out", "labels.txt", "report.html")
TENSOR = {"name": "x", "shape": [1, 8, 8, 1], "dtype": "int8", "scale": 0.1, "zero_point": -128}


def plain() -> dict[str, Any]:
    return {
        "format": 1,
        "model": "digits",
        "release": 2,
        "label": "2026-05",
        "task": "classification",
        "inputs": [dict(TENSOR)],
        "outputs": [TENSOR | {"name": "y", "shape": [1, 10]}],
        "files": {name: {"sha256": SHA, "size": 10} for name in NAMES},
        "variants": [
            {
                "id": "edgetpu",
                "engine": "tflite",
                "files": ["edge.tflite"],
                "delegate": "edgetpu",
                "requires": {"hardware": ["edgetpu-usb", "edgetpu-pcie"]},
            },
            {
                "id": "cpu",
                "engine": "tflite",
                "files": ["model.tflite"],
                "requires": {"hardware": ["cpu-x86_64", "cpu-aarch64"]},
            },
        ],
        "selftest": {
            "count": 16,
            "inputs": "golden.in",
            "outputs": "golden.out",
            "tolerance": {"max_abs": 0.0},
        },
        "labels": "labels.txt",
        "report": "report.html",
    }


def read(value: object) -> Manifest:
    return Manifest.from_json(json.dumps(value).encode())


def test_what_was_written_is_read_back() -> None:
    first = read(plain())
    assert Manifest.from_json(first.to_json()) == first


def test_a_device_needs_the_files_of_its_own_variant_alone() -> None:
    it = read(plain())
    cpu = it.variant_for("cpu-aarch64")
    assert cpu is not None
    assert set(it.files_for(cpu)) == {"model.tflite", "golden.in", "golden.out", "labels.txt"}


def test_a_device_with_an_accelerator_also_holds_what_answers_without_it() -> None:
    it = read(plain())
    tpu, cpu = it.variant("edgetpu"), it.variant("cpu")
    assert it.twin_of(tpu) == cpu
    assert it.twin_of(cpu) is None
    assert set(it.files_for(tpu)) == {*tpu.files, *it.files_for(cpu)}


def test_a_variant_of_other_arithmetic_has_golden_outputs_of_its_own() -> None:
    value = plain()
    value["files"]["jetson.onnx"] = value["files"]["jetson.out"] = {"sha256": SHA, "size": 10}
    value["variants"].append(
        {
            "id": "jetson",
            "engine": "onnx",
            "files": ["jetson.onnx"],
            "golden": "jetson.out",
            "requires": {"hardware": ["tensorrt"]},
        }
    )
    it = read(value)
    jetson, cpu = it.variant("jetson"), it.variant("cpu")
    assert "jetson.out" in it.files_for(jetson)
    assert "golden.out" not in it.files_for(jetson)
    assert it.selftest_for(jetson).outputs == "jetson.out"
    assert it.selftest_for(cpu) == it.selftest
    value["variants"][-1]["golden"] = "elsewhere.out"
    with pytest.raises(MalformedError, match=r"elsewhere\.out"):
        read(value)


def test_variants_for_a_board_come_as_the_publisher_prefers_them() -> None:
    value = plain()
    value["variants"].append({**value["variants"][1], "id": "cpu-small"})
    assert [v.id for v in read(value).variants_for("cpu-x86_64")] == ["cpu", "cpu-small"]


def test_a_machine_may_run_what_is_for_its_processor_or_for_something_beside_it() -> None:
    it = read(plain())
    assert [v.id for v in it.variants_on("cpu-aarch64")] == [v.id for v in it.variants]
    assert [v.id for v in it.variants_on("cpu-none")] == ["edgetpu"]
    assert [v.id for v in it.variants_on(None)] == ["edgetpu"]


def test_hardware_that_no_variant_names_has_none() -> None:
    assert read(plain()).variant_for("tensorrt") is None


@pytest.mark.parametrize("found", [0, 2, 999])
def test_another_format_is_refused_as_such(found: int) -> None:
    with pytest.raises(UnsupportedFormatError) as e:
        read({"format": found, "whatever": "a later littoral says"})
    assert (e.value.found, e.value.code) == (found, "unsupported-format")


def rename(new: str) -> Callable[[dict[str, Any]], object]:
    return lambda m: m["files"].update({new: m["files"]["report.html"]})


def put(*path: str | int, value: object) -> Callable[[dict[str, Any]], object]:
    def change(at: Any) -> None:
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rename("../evil"), "not a plain file name"),
        (rename("a/b"), "not a plain file name"),
        (rename(".hidden"), "not a plain file name"),
        (rename("A"), "not a plain file name"),
        (rename("a\n"), "not a plain file name"),
        (rename("a" * 65), "not a plain file name"),
        (rename("manifest.json"), "not a plain file name"),
        (put("model", value="../x"), "model"),
        (put("model", value="x\n"), "model"),
        (put("release", value=0), "release: expected at least 1"),
        (put("release", value=2**53), "release"),
        (put("release", value=True), "'release' should be int"),
        (put("task", value="guessing"), "one of classification"),
        (put("labels", value="none.txt"), "'none.txt' is named but is not among the files"),
        (put("selftest", "inputs", value="none"), "'none' is named"),
        (put("variants", value=[]), "variants: expected at least one"),
        (put("variants", 1, "id", value="edgetpu"), "an id of its own"),
        (put("variants", 1, "id", value="../cpu"), "variant"),
        (put("variants", 1, "files", value=[]), "names no file"),
        (put("variants", 1, "requires", "hardware", value=["abacus"]), "one of cpu-x86_64"),
        (put("variants", 0, "requires", "runtime", value="litert"), "as 'litert>=2.1'"),
        (put("variants", 0, "requires", "operators", value={"conv": 1}), "is none"),
        (put("variants", 0, "requires", "operators", value={"ADD": 0}), "is none"),
        (put("variants", 0, "requires", "operators", value={"ADD": 2**31}), "is none"),
        (put("variants", 0, "requires", "memory_bytes", value=-1), "out of range"),
        (put("files", "model.tflite", "sha256", value="abc"), "expected a sha256 in hex"),
        (put("files", "model.tflite", "sha256", value=SHA.upper()), "expected a sha256"),
        (put("files", "model.tflite", "size", value=-1), "out of range"),
        (put("files", "model.tflite", "size", value=2**40), "out of range"),
        (put("inputs", 0, "shape", value=[1, 0]), "at least 1"),
        (put("signatures", value=[]), "did you mean 'signature'?"),
        (put("files", value={}), "expected 1 to 64, found 0"),
        (put("format", value="1"), "'format' should be int"),
    ],
)
def test_a_manifest_against_the_rules_is_refused(
    change: Callable[[dict[str, Any]], object], words: str
) -> None:
    value = plain()
    change(value)
    with pytest.raises(MalformedError) as e:
        read(value)
    assert words in str(e.value)


def encoding(**fields: object) -> Callable[[dict[str, Any]], object]:
    whole = {"kind": "zstd", "sha256": SHA, "size": 5} | fields
    return put("files", "model.tflite", "encodings", value=[whole])


@pytest.mark.parametrize(
    "change",
    [
        encoding(kind="patch"),
        encoding(base=SHA),
        encoding(base="x", kind="patch"),
        encoding(size=-1),
    ],
)
def test_an_encoding_is_believed_by_a_digest_of_its_own(
    change: Callable[[dict[str, Any]], object],
) -> None:
    value = plain()
    change(value)
    with pytest.raises(MalformedError):
        read(value)


def test_a_manifest_of_more_than_64_kib_or_64_files_is_refused() -> None:
    value = plain()
    value["files"] |= {f"f{n}": value["files"]["report.html"] for n in range(59)}
    with pytest.raises(MalformedError, match="found 65"):
        read(value)
    with pytest.raises(MalformedError, match="at most 65536 bytes"):
        Manifest.from_json(json.dumps(plain()).encode() + b" " * manifest.MAX_BYTES)


@given(st.binary(max_size=200) | st.sampled_from([b"[]", b"null", b"1", b'"format"']))
def test_whatever_arrives_is_a_manifest_or_refused(data: bytes) -> None:
    with pytest.raises((MalformedError, UnsupportedFormatError)):
        Manifest.from_json(data)


def test_a_target_path_names_model_and_release() -> None:
    assert Path(manifest.target_path("digits", 3)).parts == (
        "bundles",
        "digits",
        "3",
        "manifest.json",
    )

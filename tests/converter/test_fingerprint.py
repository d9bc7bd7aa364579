from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from littoral_converter import fingerprint
from littoral_converter.fingerprint import Fingerprints


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    truth: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    model: Path
    folder: Path
    out: Path
    samples: Path
    seed: int = 0
    inner: Inner = Inner()
    teachers: tuple[str, ...] = ()


def job(tmp_path: Path, shop: str = "shop") -> Job:
    folder = tmp_path / shop
    folder.mkdir(exist_ok=True)
    (tmp_path / "model.keras").write_bytes(b"model")
    (folder / "samples.npy").write_bytes(b"samples")
    return Job(
        model=tmp_path / "model.keras",
        folder=folder,
        out=folder / "int8.tflite",
        samples=folder / "samples.npy",
    )


def of(asked: Job, step: str = "quantize") -> str | None:
    return Fingerprints(asked.folder).of(step, asked)


def test_the_same_in_another_folder_is_the_same(tmp_path: Path) -> None:
    assert of(job(tmp_path)) == of(job(tmp_path, "other"))


def test_each_part_of_it_matters(tmp_path: Path) -> None:
    asked = job(tmp_path)
    (tmp_path / "teacher").write_bytes(b"t")
    (tmp_path / "truth").write_bytes(b"1")
    variants = [
        asked,
        replace(asked, seed=1),
        replace(asked, out=asked.folder / "other.tflite"),
        replace(asked, inner=Inner(truth=tmp_path / "truth")),
        replace(asked, teachers=(str(tmp_path / "teacher"),)),
    ]
    found = [of(variant) for variant in variants] + [of(asked, "tf-int8")]
    for path in (asked.model, asked.samples):
        path.write_bytes(path.read_bytes() + b"!")
        found.append(of(asked))
    (tmp_path / "teacher").write_bytes(b"another")
    found.append(of(variants[-1]))
    (tmp_path / "truth").write_bytes(b"2")
    found.append(of(variants[3]))
    assert None not in found
    assert len(set(found)) == len(found)


def test_a_folder_is_all_that_is_in_it(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    (saved / "variables").mkdir(parents=True)
    (saved / "saved_model.pb").write_bytes(b"graph")
    asked = replace(job(tmp_path), model=saved)
    first = of(asked)
    (saved / "variables/v").write_bytes(b"weights")
    assert of(asked) != first


def test_a_file_that_changed_during_the_conversion_is_read_again(tmp_path: Path) -> None:
    asked = job(tmp_path)
    prints = Fingerprints(asked.folder)
    first = prints.of("quantize", asked)
    assert prints.of("quantize", asked) == first
    asked.samples.unlink()
    asked.samples.write_bytes(b"another")
    assert prints.of("quantize", asked) != first


def test_other_code_and_other_packages_give_other_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = fingerprint._world()
    assert any(name.startswith("numpy-") for name in world["packages"])
    first = of(job(tmp_path))
    for name in world:
        other = world | {name: ["another"]}
        monkeypatch.setattr(fingerprint, "_world", lambda other=other: other)
        assert of(job(tmp_path)) != first


def test_what_measures_or_asks_others_is_not_kept(tmp_path: Path) -> None:
    asked = job(tmp_path)
    for step in ("run", "prove", "edgetpu", "read-data", "target-jetson"):
        assert of(asked, step) is None
    assert of(asked, "import-keras") is not None


def test_onnx_whose_weights_lie_elsewhere_is_not_kept(tmp_path: Path) -> None:
    asked = job(tmp_path)
    assert of(asked, "import-onnx") is not None
    asked.model.write_bytes(b"\x0a\x08location\x12\x0bweights.bin")
    assert of(asked, "import-onnx") is None
    assert of(asked, "import-keras") is not None


def test_whole_disks_are_not_read_because_a_name_looks_like_one(tmp_path: Path) -> None:
    assert of(replace(job(tmp_path), teachers=("/",))) is None

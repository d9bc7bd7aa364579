"""Engines that TensorRT built: for one model on one machine, and proven before they are kept."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.errors import BackendMissingError, StorageError
from littoral.wire.probes import Step
from littoral_serve.running.engines import Engines, Machine, machine_of

MODEL, OTHER = "a" * 64, "b" * 64
ORIN = Machine(
    gpu="Orin, 8.7, 8 multiprocessors",
    driver="12.6",
    release="# R36 (release), REVISION: 4.3",
    cuda="12.6",
    cudnn="90300",
    tensorrt="10.3.0",
    onnxruntime="1.22.0",
)


def engines(folder: Path, machine: Machine = ORIN) -> Engines:
    return Engines(folder, machine=lambda: machine)


def build(held: Engines, model: str = MODEL) -> None:
    with held.stage() as staged:
        (staged / "graph_1_sm87.engine").write_bytes(b"engine of " + model.encode())
        (staged / "graph_1_sm87.profile").write_bytes(b"shapes")
        held.keep(staged, model)


def test_an_engine_is_found_again_for_its_model_alone(tmp_path: Path) -> None:
    held = engines(tmp_path / "engines")
    assert held.find(MODEL) is None
    build(held)
    place = engines(tmp_path / "engines").find(MODEL)
    assert place is not None
    assert (place / "graph_1_sm87.engine").read_bytes() == b"engine of " + MODEL.encode()
    assert held.find(OTHER) is None
    assert place.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("what", Machine.__dataclass_fields__)
def test_another_gpu_driver_or_version_has_none(tmp_path: Path, what: str) -> None:
    build(engines(tmp_path))
    assert engines(tmp_path, replace(ORIN, **{what: "another"})).find(MODEL) is None


def test_what_was_not_kept_leaves_nothing(tmp_path: Path) -> None:
    held = engines(tmp_path)
    with held.stage() as staged:
        (staged / "graph.engine").write_bytes(b"x")
    with held.stage() as staged:
        (staged / "graph.profile").write_bytes(b"x")
        with pytest.raises(StorageError, match="built no engine"):
            held.keep(staged, MODEL)
    assert list(tmp_path.iterdir()) == []


def test_a_candidate_that_leaves_links_or_pipes_has_only_its_files_copied(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    held = engines(tmp_path / "engines")
    with held.stage() as staged:
        (staged / "graph.engine").write_bytes(b"engine")
        os.mkfifo(staged / "pipe.engine")
        (staged / "folder").mkdir()
        held.keep(staged, MODEL)
    place = held.find(MODEL)
    assert place is not None
    assert sorted(path.name for path in place.iterdir()) == ["about.json", "graph.engine"]
    with held.stage() as staged:
        (staged / "link.engine").symlink_to(secret)
        with pytest.raises(StorageError):
            held.keep(staged, OTHER)
    assert held.find(OTHER) is None


def test_the_first_of_two_stays(tmp_path: Path) -> None:
    held = engines(tmp_path)
    build(held)
    with held.stage() as staged:
        (staged / "graph.engine").write_bytes(b"later")
        held.keep(staged, MODEL)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_no_blob_needs_is_collected_and_what_was_cut_short(tmp_path: Path) -> None:
    held = engines(tmp_path)
    for model in (MODEL, OTHER):
        build(held, model)
    (tmp_path / ".new-0123").mkdir()
    held.collect(lambda model: model == OTHER)
    assert held.find(MODEL) is None
    assert held.find(OTHER) is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_a_machine_without_gpu_or_tensorrt_is_told() -> None:
    found = [
        Step(step=name, value=getattr(ORIN, name if name != "device" else "gpu"))
        for name in ("driver", "device", "cuda", "cudnn", "tensorrt")
    ]
    assert machine_of(tuple(found), onnxruntime="1.22.0", release=ORIN.release) == ORIN
    with pytest.raises(BackendMissingError, match="TensorRT is not installed"):
        machine_of((*found[:4], Step(step="tensorrt")), onnxruntime="1", release="")
    gone = Step(step="driver", error="libcuda.so.1: cannot open shared object file")
    with pytest.raises(BackendMissingError, match=r"driver: libcuda\.so\.1: cannot open"):
        machine_of((gone,), onnxruntime="1", release="")


def test_a_release_whose_engine_is_gone_has_one_built_when_it_is_loaded(tmp_path: Path) -> None:
    """After an update of the driver there is none for what was proven, and no trial either."""
    held, seen = engines(tmp_path), []

    def open_(folder: Path) -> int:
        seen.append(sorted(path.name for path in folder.iterdir()))
        if not seen[-1]:
            (folder / "graph.engine").write_bytes(b"engine")
        return len(seen)

    assert [held.opened(MODEL, open_) for _ in range(2)] == [1, 2]
    assert seen == [[], ["about.json", "graph.engine"]]

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from littoral.errors import MalformedError, MisuseError
from littoral_converter import source
from littoral_converter.source import Kind

FIXTURES = Path(__file__).parents[1] / "fixtures"


def archive(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path


def test_a_keras_model_is_known_by_its_content_whatever_its_name(
    models: Path, tmp_path: Path
) -> None:
    data = (models / "digits.keras").read_bytes()
    odd = tmp_path / "model.bin"
    odd.write_bytes(data)
    found = source.detect(odd)
    assert found.kind is Kind.KERAS3
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.size == len(data)


def test_a_tflite_model_is_known() -> None:
    assert source.detect(FIXTURES / "tiny_int8.tflite").kind is Kind.TFLITE


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(64), Kind.HDF5),
        (b"\x08\x08\x12\x07pytorch" + bytes(64), Kind.ONNX),
    ],
)
def test_other_models_are_known(tmp_path: Path, head: bytes, kind: Kind) -> None:
    path = tmp_path / "model"
    path.write_bytes(head)
    assert source.detect(path).kind is kind


def test_a_saved_model_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    first = source.detect(tmp_path)
    assert first.kind is Kind.SAVED_MODEL
    (tmp_path / "more").write_bytes(b"y")
    assert source.detect(tmp_path).sha256 != first.sha256


def test_an_exported_pytorch_program_is_known(tmp_path: Path) -> None:
    path = archive(tmp_path / "m", {"m/archive_format": "pt2", "m/models/model.json": "{}"})
    assert source.detect(path).kind is Kind.TORCH


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"m/data.pkl": "", "m/code/__torch__.py": ""}, "found TorchScript"),
        ({"m/data.pkl": "", "m/data/0": ""}, "is a PyTorch pickle, which is never loaded"),
        ({"serialized_exported_program.json": ""}, "program of 2.7 or older"),
    ],
)
def test_other_files_of_pytorch_say_how_to_export(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        source.detect(archive(tmp_path / "m.pt", files))
    assert words in str(caught.value)
    assert "torch.export.save(torch.export.export(model.eval(), (example,))" in str(caught.value)


def test_keras_2_is_told_from_keras_3(tmp_path: Path) -> None:
    files = {"metadata.json": '{"keras_version": "2.15.0"}', "config.json": "{}"}
    assert source.detect(archive(tmp_path / "m", files)).kind is Kind.KERAS2


def test_nothing_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="no such file"):
        source.detect(tmp_path / "gone.keras")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\x93NUMPY\x01\x00", "as data"),
        (b"\x80\x04\x95", "pickle, which is never loaded"),
        (b"hello", "begins with b'hello'"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, head: bytes, words: str) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(head)
    with pytest.raises(MalformedError) as caught:
        source.detect(path)
    assert words in str(caught.value)


def test_what_is_neither_file_nor_folder_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(MalformedError, match="found neither a file nor a folder"):
            source.detect(path)


def test_a_cut_keras_file_is_damaged(models: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.keras"
    cut.write_bytes((models / "digits.keras").read_bytes()[:20_000])
    with pytest.raises(MalformedError, match="damaged or cut short"):
        source.detect(cut)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=r"folder without saved_model\.pb"):
        source.detect(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.txt": "x"}, "an archive of other things"),
        ({"metadata.json": "{}", "config.json": "{}"}, "which Keras wrote it"),
        ({"metadata.json": '{"keras_version": "4.0"}', "config.json": ""}, "Keras 4.0"),
        ({"metadata.json": " " * 70_000, "config.json": ""}, "larger than any true one"),
    ],
)
def test_an_archive_that_is_no_keras_3_model_is_refused(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    with pytest.raises(MalformedError, match=words):
        source.detect(archive(tmp_path / "m.keras", files))

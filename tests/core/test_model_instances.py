import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.errors import MalformedError, StorageError
from littoral.model import instances, npy

IMAGE = Tensor(name="image", shape=(1, 2, 2), dtype="int8", scale=0.5, zero_point=3)
LEFT = Tensor(name="left", shape=(1, 2), dtype="float32")
RIGHT = Tensor(name="right", shape=(1, 3), dtype="float32")


def read(tmp_path: Path, value: Any, *inputs: Tensor) -> instances.Instances:
    if isinstance(value, np.ndarray):
        path = tmp_path / "in.npy"
        np.save(path, value)
    else:
        path = tmp_path / "in.json"
        path.write_text(json.dumps(value))
    return instances.read(path, inputs or (IMAGE,))


def test_one_instance_and_several_are_told_apart(tmp_path: Path) -> None:
    assert len(read(tmp_path, np.zeros((2, 2)))) == 1
    found = read(tmp_path, np.arange(12.0).reshape(3, 2, 2))
    assert [one[0].shape for one in found] == [(2, 2)] * 3
    assert found[2][0].tolist() == [[8, 9], [10, 11]]


def test_arrays_keep_their_type_and_jsons_numbers_are_real(tmp_path: Path) -> None:
    ((stored,),) = read(tmp_path, np.ones((2, 2), np.int8))
    assert stored.dtype == np.int8
    ((real,),) = read(tmp_path, [[1, 2], [3, 4]])
    assert real.dtype == np.float32
    picture = Tensor(name="image", shape=(1, 2), dtype="uint8", scale=0.5, zero_point=3)
    ((pixels,),) = read(tmp_path, [[0, 255]], picture)
    assert pixels.dtype == np.uint8
    ((grey,),) = read(tmp_path, [[0, 0.5]], picture)
    assert grey.dtype.kind == "f"
    with pytest.raises(MalformedError, match="from 0 to 255"):
        read(tmp_path, [[0, 256]], picture)
    plain = Tensor(name="rows", shape=(1, 2), dtype="int32")
    ((rows,),) = read(tmp_path, [[1, 2]], plain)
    assert rows.dtype.kind == "i"


@pytest.mark.parametrize(
    "document",
    [
        [[[1, 2], [3, 4]]],
        {"instances": [[[1, 2], [3, 4]]]},
        {"instances": [{"image": [[1, 2], [3, 4]]}]},
        {"inputs": [[[1, 2], [3, 4]]]},
        {"inputs": {"image": [[[1, 2], [3, 4]]]}},
        {"image": [[1, 2], [3, 4]]},
    ],
)
def test_json_is_what_tensorflow_serving_takes_or_a_bare_list(
    document: Any, tmp_path: Path
) -> None:
    ((one,),) = read(tmp_path, document)
    assert one.tolist() == [[1, 2], [3, 4]]


def test_the_converters_samples_are_taken_with_what_is_right(tmp_path: Path) -> None:
    path, x = tmp_path / "in.npz", np.ones((3, 2, 2), np.float32)
    for y in (np.array([2, 0, 1]), np.array([[2], [0], [1]]), np.eye(3)[[2, 0, 1]]):
        np.savez(path, x=x, y=y, labels=["a", "b", "c"])
        assert len(instances.read(path, (IMAGE,))) == 3
        assert instances.true(path, (IMAGE,), count=3) == [2, 0, 1]
    np.savez(path, x=x, y=np.array([0.5, 1.5, 2.5]))  # true numbers are no classes
    assert instances.true(path, (IMAGE,), count=3) is None
    np.savez(path, x=x)
    assert instances.true(path, (IMAGE,), count=3) is None
    np.savez(path, x=x, y=np.array([1, 2]))
    with pytest.raises(MalformedError, match=r"y: expected 3, one for each sample, found \[2\]"):
        instances.true(path, (IMAGE,), count=3)


def test_labels_beside_x_name_the_classes(tmp_path: Path) -> None:
    path, x = tmp_path / "in.npz", np.ones((3, 2, 2), np.float32)
    for kind in ("<U3", ">U3"):
        np.savez(path, x=x, labels=np.array(["å", "", "b b"], kind))
        assert instances.names(path, (IMAGE,)).names == ("å", "", "b b")
    np.savez(path, x=x)
    assert len(instances.names(path, (IMAGE,))) == 0
    assert len(instances.names(tmp_path / "in.npy", (IMAGE,))) == 0
    np.savez(path, x=x, labels=[1, 2])
    with pytest.raises(MalformedError, match="labels: expected texts, found int64"):
        instances.names(path, (IMAGE,))


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (np.array(["a", "b\nb"]), r"expected a line for each class, found 'b\\nb'"),
        (np.array(["a\u2028"]), "expected a line for each class"),
        (np.full(2, 0x110000, np.uint32).view("U1"), "expected Unicode: code point not in range"),
        (np.full(2, 0xD800, np.uint32).view("U1"), "expected Unicode: code point in surrogate"),
        (np.full(100_001, "a"), "labels: expected at most 100000, found 100001"),
        (np.full(3, "a" * 2**21), "expected at most 16777216 bytes, found 25165"),
    ],
)
def test_labels_that_no_file_of_labels_could_hold_are_refused(
    labels: np.ndarray[Any, Any], why: str, tmp_path: Path
) -> None:
    path = tmp_path / "in.npz"
    np.savez_compressed(path, x=np.ones((3, 2, 2), np.float32), labels=labels)
    with pytest.raises(MalformedError, match=why):
        instances.names(path, (IMAGE,))


def test_what_lies_beside_x_and_is_no_array_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones((3, 2, 2), np.float32))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y.npy", "hello")
        archive.writestr("labels.npy", "hello")
    assert len(instances.read(path, (IMAGE,))) == 3
    with pytest.raises(MalformedError, match=r"in\.npz: .*magic string"):
        instances.true(path, (IMAGE,), count=3)
    with pytest.raises(MalformedError, match=r"in\.npz: .*magic string"):
        instances.names(path, (IMAGE,))


def test_arrays_that_nothing_takes_are_told(tmp_path: Path) -> None:
    path, x = tmp_path / "in.npz", np.ones((3, 2, 2), np.float32)
    for more in ({"images": x, "y": [1, 2, 3]}, {"x_test": x, "y_test": [1]}, {"x": x, "z": x}):
        np.savez(path, **more)
        said = f"expected image, or x with y and labels beside it, found {', '.join(more)}"
        with pytest.raises(MalformedError, match=said):
            instances.read(path, (IMAGE,))
    np.savez(path)
    with pytest.raises(MalformedError, match="found none"):
        instances.read(path, (IMAGE,))
    np.savez(path, y=[[1], [2], [3]])  # one array may have any name, and is what is asked
    number = (Tensor(name="number", shape=(1, 1), dtype="int32"),)
    assert len(instances.read(path, number)) == 3
    assert instances.true(path, number, count=3) is None
    np.savez(path, x=x, y=["a", "b", "c"])
    with pytest.raises(MalformedError, match="y: expected whole numbers, found <U1"):
        instances.true(path, (IMAGE,), count=3)


def test_samples_that_are_damaged_are_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones((3, 2, 2), np.float32))
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[whole.index(b"}") + 60] ^= 0xFF
    for data in (whole[:-30], bytes(changed)):
        path.write_bytes(data)
        with pytest.raises(MalformedError, match=r"in\.npz: "):
            instances.read(path, (IMAGE,))


def test_an_input_that_is_called_y_is_an_input(tmp_path: Path) -> None:
    x, y = (Tensor(name=name, shape=(1, 2), dtype="float32") for name in "xy")
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones((2, 2)), y=np.zeros((2, 2)))
    assert len(instances.read(path, (x, y))) == 2
    assert instances.true(path, (x, y), count=2) is None


def test_several_inputs_come_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, right=np.ones((2, 3)), left=np.zeros((2, 2)))
    found = instances.read(path, (LEFT, RIGHT))
    assert [(a.shape, b.shape) for a, b in found] == [((2,), (3,))] * 2
    rows = {"instances": [{"left": [1, 2], "right": [3, 4, 5]}]}
    ((left, right),) = read(tmp_path, rows, LEFT, RIGHT)
    assert (left.tolist(), right.tolist()) == ([1, 2], [3, 4, 5])


@pytest.mark.parametrize(
    ("value", "inputs", "why"),
    [
        ([1, 2, 3], (IMAGE,), r"expected \[2, 2\] or several, found \[3\]"),
        ([], (IMAGE,), "or several"),
        ("text", (IMAGE,), "expected numbers"),
        ([[1, 2], [3]], (IMAGE,), "inhomogeneous"),
        ([1, 2], (LEFT, RIGHT), "an array for each of left, right"),
        ({"left": [1, 2]}, (LEFT, RIGHT), "expected left, right, found left"),
        ({"left": [[1, 2]] * 2, "right": [[1, 2, 3]]}, (LEFT, RIGHT), "different numbers"),
        ({"instances": [{"left": [1, 2]}, {}]}, (LEFT, RIGHT), "left"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    value: Any, inputs: tuple[Tensor, ...], why: str, tmp_path: Path
) -> None:
    with pytest.raises(MalformedError, match=why):
        read(tmp_path, value, *inputs)


def test_python_objects_are_not_loaded(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.save(out, np.array([{}], object), allow_pickle=True)
    for name in ("in.npy", "in.npz", "in.json"):
        (tmp_path / name).write_bytes(out.getvalue())
        with pytest.raises(MalformedError):
            instances.read(tmp_path / name, (IMAGE,))


def test_a_file_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    head = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(out, head)
    (tmp_path / "in.npy").write_bytes(out.getvalue())
    with pytest.raises(
        MalformedError, match=r"in\.npy: expected \[10+\] of float32, found 0 bytes"
    ):
        instances.read(tmp_path / "in.npy", (IMAGE,))


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        instances.read(tmp_path / "none.npy", (IMAGE,))


def test_more_json_than_may_be_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "in.json").open("wb") as file:
        file.truncate(npy.MOST_BYTES + 1)  # no byte of it on the disk
    with pytest.raises(MalformedError, match=r"in\.json: expected at most 536870912 bytes"):
        instances.read(tmp_path / "in.json", (IMAGE,))

"""Files of arrays as anybody may hand them over."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.model import npy


def stored(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(array))
    return out.getvalue()


def headed(descr: str, shape: str, data: bytes = b"") -> bytes:
    """Return an .npy of any header."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def packed(path: Path, kind: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_arrays_are_as_numpy_stored_them(tmp_path: Path) -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))
    np.save(tmp_path / "y.npy", y)
    assert npy.one(tmp_path / "y.npy").tolist() == y.tolist()
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "in.npz", x=x, y=y, labels=["a", "bc"])
        assert npy.names(tmp_path / "in.npz") == ["x", "y", "labels"]
        found = npy.several(tmp_path / "in.npz", ["labels", "y"])
        assert [(name, a.tolist()) for name, a in found.items()] == [
            ("labels", ["a", "bc"]),
            ("y", y.tolist()),
        ]


def test_what_is_no_array_is_none(tmp_path: Path) -> None:
    path = packed(tmp_path / "in.npz", x=stored([1]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "x")
    assert npy.names(path) == ["x"]


def test_a_file_by_the_others_name_is_told_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "in.npz").write_bytes(stored([1]))
    with pytest.raises(ValueError, match=r"expected an \.npz, found an \.npy: call it so"):
        npy.names(tmp_path / "in.npz")
    packed(tmp_path / "in.npy", x=stored([1]))
    with pytest.raises(ValueError, match=r"expected an \.npy, found an \.npz: call it so"):
        npy.one(tmp_path / "in.npy")


def test_more_than_may_be_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deflated, a thousandth of it lies on the disk: what it unpacks to is what counts."""
    data = stored(np.zeros(2**18))
    path = packed(tmp_path / "in.npz", x=data, y=data)
    assert path.stat().st_size < 2**14
    assert npy.several(path, ["x"], most=len(data)).keys() == {"x"}
    with pytest.raises(ValueError, match=f"y: expected at most 100 bytes, found {len(data)}"):
        npy.several(path, ["x", "y"], most=len(data) + 100)

    def read(*_: object, **__: object) -> None:
        pytest.fail("it was read")

    monkeypatch.setattr(np.lib.format, "read_array", read)
    with pytest.raises(ValueError, match=f"x: expected at most {2**21} bytes, found {len(data)}"):
        npy.several(path, ["x"], most=2**21)
    np.save(tmp_path / "in.npy", np.zeros(1))
    with (tmp_path / "in.npy").open("r+b") as file:
        file.truncate(npy.MOST_BYTES + 1)  # no byte of it on the disk
    with pytest.raises(ValueError, match="expected at most 536870912 bytes, found 536870913"):
        npy.one(tmp_path / "in.npy")


@pytest.mark.parametrize(
    ("descr", "shape"),
    [
        *(("'<i8'", "(3, 1000000000000)"), ("'<U100000000'", "(100,)"), ("'<i8'", "(-5,)")),
        *(("'<U0'", "(1000000000,)"), ("'|V0'", "(1000000000,)"), ("'<i8'", "(-5, -5)")),
    ],
)
def test_a_header_that_names_more_than_there_is_is_refused_by_it(
    descr: str, shape: str, tmp_path: Path
) -> None:
    data = headed(descr, shape, bytes(8))
    path = packed(tmp_path / "in.npz", x=data)
    (tmp_path / "in.npy").write_bytes(data)
    with pytest.raises(ValueError, match=r"expected \[.*\] of .*, found 8 bytes"):
        npy.several(path, ["x"])
    with pytest.raises(ValueError, match=r"expected \[.*\] of .*, found 8 bytes"):
        npy.one(tmp_path / "in.npy")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello", "magic string"),
        (b"", "reading magic"),
        (headed("'|O'", "(1,)", bytes(8)), "Python objects, which are never loaded"),
        (headed("'<i8'", "(1,"), "it is damaged"),  # tokenize's error
        (headed("__import__('os').getpid()", "(1,)"), "malformed node"),
        (b"\x93NUMPY\x03\x00" + bytes(8), r"expected version 1 or 2 of the format, found \(3, 0\)"),
    ],
)
def test_what_is_damaged_is_a_value_error(data: bytes, why: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "in.npz", x=data)
    with pytest.raises(ValueError, match=why):
        npy.several(path, ["x"])


def test_an_archive_that_is_damaged_or_not_numpys_is_a_value_error(tmp_path: Path) -> None:
    path = packed(tmp_path / "in.npz", zipfile.ZIP_STORED, x=stored(np.zeros(64)))
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[300] ^= 1
    locked = bytearray(whole)
    locked[6] |= 1  # both flags say that it is under a passphrase
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    for data, why in (
        (whole[:-30], "not a zip file"),
        (changed, "Bad CRC-32"),
        (locked, "password required"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=why):
            npy.several(path, ["x"])
    with pytest.raises(ValueError, match="x: expected it stored or deflated"):
        npy.several(packed(path, zipfile.ZIP_LZMA, x=stored([1])), ["x"])

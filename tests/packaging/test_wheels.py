"""A lock's wheels: what is not the lock's is refused, what is not needed is left out."""

import hashlib
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deb.targets import ARCHES, LEFT_OUT, PACKAGES, ROOT, SUITES, Package, Target
from deb.wheels import LockError, fetch, read_lock, unpack

EVERY = [(p, Target(s, a)) for p in PACKAGES.values() for s in SUITES for a in ARCHES]
NAMES = [f"{p.name}-{t.suite}-{t.arch}" for p, t in EVERY]
TARGET = Target("bookworm", "amd64")


def wheel(folder: Path, *, name: str = "tiny", files: dict[str, bytes] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    said = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n\nA long story.\n"
    wanted = {
        f"{name}/__init__.py": b"",
        f"{info}/METADATA": said.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for inside, data in (wanted | (files or {})).items():
            archive.writestr(inside, data)
    return path


def lock(folder: Path, *lines: str) -> Path:
    path = folder / "lock.txt"
    path.write_text("".join(f"{line}\n" for line in ("# a lock", *lines)))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("package", "target"), EVERY, ids=NAMES)
def test_a_lock_names_all_that_is_asked_for(package: Package, target: Target) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for name in package.extras for one in project["optional-dependencies"][name]]
    pins = {pin.name: pin.version for pin in read_lock(package.lock(target))}
    for line in (*project["dependencies"], *extras):
        wanted = Requirement(line)
        if wanted.name not in LEFT_OUT:
            assert wanted.specifier.contains(pins[wanted.name]), line
    assert not pins.keys() & LEFT_OUT.keys()


def test_all_targets_have_the_same_versions() -> None:
    for package in PACKAGES.values():
        held = [
            {pin.name: pin.version for pin in read_lock(package.lock(target))}
            for one, target in EVERY
            if one is package
        ]
        assert all(one == held[0] for one in held)


def test_a_lock_says_no_address() -> None:
    for path in (ROOT / "packaging/locks").glob("*.txt"):
        assert not re.search(r"://|index|find-links", path.read_text()), path


@pytest.mark.parametrize(
    "line", ["tiny", "tiny==1.0", "tiny>=1 --hash=sha256:00", "-r other.txt", "--index-url x"]
)
def test_a_lock_without_digests_is_none(tmp_path: Path, line: str) -> None:
    with pytest.raises(LockError, match=r"lock.txt:2: expected NAME==VERSION --hash"):
        read_lock(lock(tmp_path, line))


def test_wheels_come_by_pip_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = wheel(tmp_path / "index")
    pinned = lock(tmp_path, f"tiny==1.0 --hash=sha256:{digest(made)}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    held = tmp_path / "held"
    assert [path.parent for path in fetch(pinned, TARGET, held)] == [held]
    made.unlink()
    assert len(fetch(pinned, TARGET, held)) == 1


def test_other_bytes_than_the_locks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wheel(tmp_path / "index")
    pinned = lock(tmp_path, f"tiny==1.0 --hash=sha256:{digest(made)}")
    wheel(tmp_path / "index", files={"tiny/evil.py": b"1"})
    wheel(tmp_path / "held", files={"tiny/evil.py": b"2"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(LockError, match="HASH"):
        fetch(pinned, TARGET, tmp_path / "held")


def test_what_a_device_does_not_need_is_left_out(tmp_path: Path) -> None:
    unneeded = {
        "tiny/tests/test_it.py": b"",
        "tiny/_core.pyx": b"",
        "tiny/_core.pyi": b"",
        "ai_edge_litert/vendors/x.so": b"",
        "ai_edge_litert/tools/main": b"",
        "ai_edge_litert/libLiteRtWebGpuAccelerator.so": b"",
        "zstandard/_cffi.cpython-311-x86_64-linux-gnu.so": b"",
        "cffi/api.py": b"",
    }
    needed = {"ai_edge_litert/libLiteRt.so": b"", "_cffi_backend.so": b"", "tiny/testing.py": b""}
    found = unpack(wheel(tmp_path, files=unneeded | needed))
    assert set(found.files) == {*needed, "tiny/__init__.py", "tiny-1.0.dist-info/METADATA"}
    assert (found.name, found.licence) == ("tiny", "MIT")
    assert b"long story" not in found.files["tiny-1.0.dist-info/METADATA"].data


@pytest.mark.parametrize("where", ["../evil.py", "/evil.py", "tiny-1.0.data/scripts/evil"])
def test_a_file_for_elsewhere_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(LockError, match="outside of the library"):
        unpack(wheel(tmp_path, files={where: b""}))

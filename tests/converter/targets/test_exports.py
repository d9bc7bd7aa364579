"""Exports: copied whole beside the bundle's files, each file with its digest."""

import hashlib
from pathlib import Path

from littoral_converter.targets import exports
from littoral_converter.targets.exports import Export


def test_a_folder_is_copied_under_its_own_name_and_every_file_is_told(tmp_path: Path) -> None:
    made = tmp_path / "work/serving"
    (made / "digits/1/variables").mkdir(parents=True)
    (made / "digits/1/saved_model.pb").write_bytes(b"graph")
    (made / "digits/1/variables/data").write_bytes(b"weights")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    about = Export(target="serving", use="…", likeness=None)
    (found,) = exports.placed([(made, about)], bundle)
    assert [(f.path, f.bytes) for f in found.files] == [
        ("serving/digits/1/saved_model.pb", 5),
        ("serving/digits/1/variables/data", 7),
    ]
    assert found.bytes == 12
    for file in found.files:
        data = (bundle / file.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256
        assert (bundle / file.path).stat().st_mode & 0o777 == 0o644

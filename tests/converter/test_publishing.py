"""littoral publish: what it makes, what it says, and who signs. The rest is in test_commands.py."""

import json
import random
from pathlib import Path

import pytest

from converter.conftest import Littoral
from littoral.trust import writer
from simulators.repository import tiny_bundle

MODEL = random.Random(1).randbytes(40_000)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    writer.init(tmp_path / "repo", offline=tmp_path / "off", online=tmp_path / "on", fleet="tests")
    writer.delegate(tmp_path / "repo", "digits", offline=tmp_path / "off")
    return tmp_path / "repo"


def bundle(folder: Path, release: int) -> Path:
    folder = folder / f"digits-{release}"
    folder.mkdir()
    model = MODEL[:release] + b"x" + MODEL[release + 1 :]
    files = {"model.tflite": model, "inputs.bin": bytes(4000)}
    return tiny_bundle(folder, model="digits", release=release, files=files)


def test_each_file_s_bytes_are_told_in_every_way_that_it_may_travel(
    littoral: Littoral, repository: Path, tmp_path: Path
) -> None:
    sign = ("--repo", repository, "--offline", tmp_path / "off")
    for release in (1, 2):
        littoral("publish", bundle(tmp_path, release), *sign)
    third = bundle(tmp_path, 3)
    said = littoral("publish", third, *sign, "--json").json
    files = {file["name"]: file for file in said["files"]}
    assert files["inputs.bin"]["zstd"] < 100
    assert (files["model.tflite"]["plain"], files["model.tflite"]["zstd"]) == (40_000, None)
    patches = files["model.tflite"]["patches"]
    assert [one["release"] for one in patches] == [2, 1]
    assert all(one["bytes"] < 300 for one in patches)
    assert (said["left_out"], said["drafts"]) == ([], [])
    fourth = littoral("publish", bundle(tmp_path, 4), *sign, "--patches", 1)
    assert "FROM 3" in fourth.out
    assert "FROM 2" not in fourth.out
    fifth = littoral("publish", bundle(tmp_path, 5), *sign, "--no-encodings", "--json").json
    assert all(file["zstd"] is None and not file["patches"] for file in fifth["files"])
    both = littoral("publish", third, *sign, "--no-encodings", "--patches", 1)
    assert (both.code, "offers no patches" in both.err) == (2, True)


def test_several_people_sign_what_one_has_prepared(
    littoral: Littoral, repository: Path, tmp_path: Path
) -> None:
    to = tmp_path / "ceremony"
    said = littoral("publish", bundle(tmp_path, 1), "--repo", repository, "--to", to, "--json").json
    (draft,) = said["drafts"]
    assert (draft["role"], draft["version"], draft["complete"]) == ("digits", 2, False)
    assert [file["zstd"] is not None for file in said["files"]] == [False, True, False]
    key = tmp_path / "off" / "digits-1.pem"
    assert littoral("repo", "sign", to, "--key", key, "--yes").code == 0
    assert littoral("repo", "collect", repository, to).code == 0
    named = json.loads((repository / "metadata" / "2.digits.json").read_text())["signed"]["targets"]
    assert named["bundles/digits/1/manifest.json"]["hashes"]["sha256"] == said["manifest_sha256"]


@pytest.mark.parametrize("who", [(), ("--offline", "off", "--to", "ceremony")])
def test_either_it_is_signed_or_a_draft_is_written(
    littoral: Littoral, repository: Path, tmp_path: Path, who: tuple[str, ...]
) -> None:
    ran = littoral("publish", bundle(tmp_path, 1), "--repo", repository, *who)
    assert ran.code == 2
    assert "--offline" in ran.err
    assert "--to" in ran.err

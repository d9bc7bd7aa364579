"""The adaptor for the public TUF conformance suite speaks its command line, from any folder."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.repository import Fault, RepositorySimulator

CLIENT = Path(__file__).resolve().parents[1] / "conformance" / "tuf-client"
TARGET = "bundles/digits/1/manifest.json"


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path / "publisher") as simulator:
        simulator.publish(simulator.bundle("digits", 1))
        yield simulator


class Suite:
    def __init__(self, folder: Path, repo: RepositorySimulator) -> None:
        self.metadata, self.targets, self.repo = folder / "metadata", folder / "targets", repo
        self.folder = folder
        for each in (self.metadata, self.targets):
            each.mkdir()
        (folder / "root.json").write_bytes(repo.root)

    def run(self, *args: str) -> int:
        at = ("--metadata-dir", str(self.metadata), "--metadata-url", f"{self.repo.url}/metadata")
        done = subprocess.run(
            [CLIENT, *at, *args], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode

    def download(self, *names: str) -> int:
        named = [word for name in names for word in ("--target-name", name)]
        where = ("--target-base-url", f"{self.repo.url}/targets", "--target-dir", str(self.targets))
        return self.run(*named, *where, "download")


def test_the_three_commands(tmp_path: Path, repo: RepositorySimulator) -> None:
    suite = Suite(tmp_path, repo)
    assert suite.run("init", str(tmp_path / "root.json")) == 0
    assert repo.requests == []
    assert suite.run("refresh") == 0
    assert (suite.metadata / "timestamp.json").read_bytes() == repo.read("metadata/timestamp.json")
    assert suite.download(TARGET) == 0
    (found,) = suite.targets.iterdir()
    repo.requests.clear()
    assert suite.download(TARGET) == 0
    assert not any(name.startswith("targets/") for name, _ in repo.requests)
    assert list(suite.targets.iterdir()) == [found]
    assert suite.download(TARGET, "nothing") == 1
    repo.fault("metadata/timestamp.json", Fault.FLIPPED_BIT)
    assert suite.run("refresh") == 1

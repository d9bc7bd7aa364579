"""The repository simulator does what its faults say: others' tests lean on it."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from littoral.errors import EndlessError, ForgottenError, UnreachableError
from littoral.trust import writer
from simulators.repository import Fault, RepositorySimulator

NAME = "metadata/1.root.json"


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path, slow_s=0.01) as simulator:
        yield simulator


@contextmanager
def get(
    repo: RepositorySimulator, name: str = NAME, *, part: str | None = None, timeout: float = 5
) -> Iterator[http.client.HTTPResponse]:
    host, port = repo.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    with closing(connection):
        connection.request("GET", f"/{name}", headers={"Range": part} if part else {})
        with connection.getresponse() as answer:
            yield answer


def test_honest_bytes_and_ranges(repo: RepositorySimulator) -> None:
    with get(repo) as whole:
        assert (whole.status, whole.read()) == (200, repo.root)
    with get(repo, part="bytes=100-") as rest:
        assert (rest.status, rest.read()) == (206, repo.root[100:])
        assert rest.headers["Content-Range"] == f"bytes 100-{len(repo.root) - 1}/{len(repo.root)}"
    with get(repo, part="bytes=5-9") as middle:
        assert middle.read() == repo.root[5:10]
    with get(repo, part=f"bytes={len(repo.root)}-") as beyond:
        assert beyond.status == 416
    assert repo.requests[1] == (NAME, "bytes=100-")


@pytest.mark.parametrize("name", ["", "nothing", "../offline/root-1.pem", "metadata"])
def test_only_the_repository_is_served(repo: RepositorySimulator, name: str) -> None:
    with get(repo, name) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.NOT_FOUND, ForgottenError),
        (Fault.FORBIDDEN, ForgottenError),
        (Fault.BROKEN, UnreachableError),
        (Fault.CUT, UnreachableError),
        (Fault.ENDLESS, EndlessError),
    ],
)
def test_faults_that_a_fetch_sees(
    repo: RepositorySimulator, fault: Fault, error: type[Exception]
) -> None:
    repo.fault("metadata/*", fault, times=1)
    with pytest.raises(error):
        repo.fetch(NAME, limit=100_000)
    assert repo.fetch(NAME, limit=100_000) == repo.root


def test_faults_that_only_a_digest_sees(repo: RepositorySimulator) -> None:
    repo.fault(NAME, Fault.FLIPPED_BIT, times=1)
    repo.fault(NAME, Fault.TRUNCATED, times=1)
    flipped = repo.fetch(NAME, limit=100_000)
    assert sum(a != b for a, b in zip(flipped, repo.root, strict=True)) == 1
    assert repo.fetch(NAME, limit=100_000) == repo.root[: len(repo.root) // 2]


def test_a_slow_server_drips_and_a_silent_one_says_nothing(repo: RepositorySimulator) -> None:
    repo.fault(NAME, Fault.SLOW)
    before = time.monotonic()
    with get(repo) as slow:
        assert slow.read(10) == repo.root[:10]
    assert time.monotonic() - before > 0.09
    repo.honest()
    repo.fault(NAME, Fault.SILENT)
    with pytest.raises(TimeoutError), get(repo, timeout=0.2):
        pass


def test_what_was_forged_is_genuine_again_when_it_is_honest(repo: RepositorySimulator) -> None:
    repo.publish(repo.bundle("digits", 1))
    genuine = repo.read("metadata/2.digits.json")
    repo.sign_as_stranger("metadata/2.digits.json")
    assert repo.fetch("metadata/2.digits.json", limit=10_000) != genuine
    repo.override[NAME] = b"other"
    assert repo.fetch(NAME, limit=10) == b"other"
    repo.honest()
    assert repo.fetch("metadata/2.digits.json", limit=10_000) == genuine
    writer.verify(repo.folder, now=repo.now)

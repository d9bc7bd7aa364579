"""Blobs in a bucket of an S3 service: moto's, or the one that LITTORAL_S3 names."""

import hashlib
import os
import re
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import urllib3

pytest.importorskip("boto3")

from littoral.bundle.manifest import File
from littoral.errors import (
    LittoralError,
    MissingExtraError,
    SettingsError,
    StorageError,
    UnreachableError,
)
from littoral.tree import Tree
from littoral_agent import identity
from littoral_agent.download import Limits
from littoral_agent.enroll import enroll
from littoral_agent.fetch import bring
from littoral_agent.halting import Halt
from littoral_agent.hosts import Hosts, Repository
from littoral_agent.origin import Origin
from littoral_agent.tls import Public
from littoral_console import blobs
from littoral_console import bucket as buckets
from littoral_console.blobs import Blobs
from patience import patient
from simulators import hosting
from simulators.console import ConsoleProcess, until
from simulators.fleet import SETTINGS, AgentProcess
from simulators.hosting import Service
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

DATA = b"a model " * 10_000
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with hosting.s3(tmp_path_factory.mktemp("s3")) as service:
        yield service


@pytest.fixture
def service(s3: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service, and this process told of it as boto3 is told: by its environment."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    path = tmp_path / "sent"
    path.write_bytes(DATA)
    return path


def bucket(service: Service, data: Path, prefix: str) -> Blobs:
    return blobs.of(f"s3://{service.bucket}/{prefix}", data=data)


def fetched(url: str, **headers: str) -> tuple[int, bytes]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, headers=headers, retries=False)
        return answer.status, answer.data


def test_a_blob_goes_there_and_is_lent_by_an_address_that_is_signed(
    service: Service, tmp_path: Path, sent: Path
) -> None:
    kept = bucket(service, tmp_path, "one")
    assert (kept.size(SHA), kept.file(SHA)) == (None, None)
    kept.keep(sent, SHA)
    assert (sent.exists(), kept.size(SHA)) == (False, len(DATA))
    url = kept.url(SHA)
    assert url is not None
    assert f"/one/blobs/{SHA}?" in url
    assert fetched(url) == (200, DATA)
    assert fetched(url, Range="bytes=8-") == (206, DATA[8:])
    assert kept.read(SHA, start=16, length=8) == DATA[16:24]


@pytest.mark.skipif(
    "LITTORAL_S3" not in os.environ, reason="moto looks at no signature in an address"
)
def test_the_service_gives_nothing_without_the_signature(
    service: Service, tmp_path: Path, sent: Path
) -> None:
    kept = bucket(service, tmp_path, "signed")
    kept.keep(sent, SHA)
    url = kept.url(SHA)
    assert url is not None
    assert fetched(url.partition("?")[0])[0] in {400, 401, 403}
    last = "0" if url[-1] != "0" else "1"
    assert fetched(url[:-1] + last)[0] == 403
    other = url.replace(SHA, "0" * 64)
    assert fetched(other)[0] == 403


def test_another_console_sees_what_this_one_sent(
    service: Service, tmp_path: Path, sent: Path
) -> None:
    """Also after it has looked once: what is new is asked for by its name."""
    first, second = (bucket(service, tmp_path / name, "two") for name in ("a", "b"))
    assert second.size(SHA) is None
    first.keep(sent, SHA)
    assert second.size(SHA) == len(DATA)
    assert bucket(service, tmp_path / "c", "two").size(SHA) == len(DATA)


def test_what_was_here_before_the_bucket_is_still_here(
    service: Service, tmp_path: Path, sent: Path
) -> None:
    blobs.of(None, data=tmp_path).keep(sent, SHA)
    kept = bucket(service, tmp_path, "three")
    assert (kept.size(SHA), kept.url(SHA)) == (len(DATA), None)
    assert kept.read(SHA, start=0, length=4) == DATA[:4]


def test_what_people_look_at_is_brought_here_once(
    service: Service, tmp_path: Path, sent: Path
) -> None:
    kept = bucket(service, tmp_path, "four")
    kept.keep(sent, SHA)
    found = kept.file(SHA)
    assert found is not None
    assert (found.parent, found.read_bytes()) == (tmp_path / "repo" / "blobs", DATA)
    assert kept.file(SHA) == found


def test_whom_the_service_does_not_know_it_gives_nothing(
    tmp_path: Path, sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hosting.s3(tmp_path, strict=True) as service:
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        known = bucket(service, tmp_path, "five")
        assert known.size(SHA) is None
        for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
            monkeypatch.setenv(name, "nobody")
            kept = bucket(service, tmp_path, "five")
            with pytest.raises(StorageError, match=r"s3://models-\d+: listing"):
                kept.size(SHA)
            with pytest.raises(StorageError, match="sending"):
                kept.keep(sent, SHA)
        assert sent.exists()
        known.keep(sent, SHA)
        assert known.size(SHA) == len(DATA)


@pytest.mark.usefixtures("service")
def test_a_bucket_that_is_none_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageError, match=r"NoSuchBucket|not exist"):
        blobs.of("s3://no-such-bucket/x", data=tmp_path).size(SHA)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageError, match="listing"):
        blobs.of("s3://models/x", data=tmp_path).size(SHA)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.lan:9000")
    with pytest.raises(SettingsError, match="over https alone"):
        blobs.of("s3://models/x", data=tmp_path)


@contextmanager
def hole(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Let S3 be a service that takes whatever is asked, and never answers."""
    asked: list[socket.socket] = []
    door = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        with suppress(OSError):
            while True:
                asked.append(door.accept()[0])

    threading.Thread(target=take, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{door.getsockname()[1]}")
    try:
        yield asked
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        for link in asked:
            link.close()


@pytest.mark.usefixtures("service")
def test_a_bucket_that_does_not_answer_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "_READ_S", 0.3)
    with hole(monkeypatch) as asked:
        kept = blobs.of("s3://models/x", data=tmp_path)
        with pytest.raises(StorageError, match="listing: Read timeout"):
            kept.size(SHA)
        count, begun = len(asked), time.monotonic()
        for _ in range(20):
            with pytest.raises(StorageError, match="a moment ago"):
                kept.size(secrets.token_hex(32))
            with pytest.raises(StorageError, match="a moment ago"):
                kept.read(SHA, start=0, length=1)
        assert time.monotonic() - begun < patient(0.3)
        assert len(asked) == count
        assert kept.url(SHA), "devices may reach it all the same"


def _told(kept: Blobs, sha256: str) -> str:
    try:
        return "nothing" if kept.asked(sha256) is None else "its size"
    except StorageError as e:
        return str(e)


def test_names_that_are_made_up_cost_few_requests(service: Service, tmp_path: Path) -> None:
    kept = blobs.of(f"s3://{service.bucket}/guessed", data=tmp_path)
    sent = tmp_path / "sent"
    sent.write_bytes(DATA)
    kept.keep(sent, SHA)
    told = [_told(kept, secrets.token_hex(32)) for _ in range(300)]
    assert 90 <= told.count("nothing") < 300
    assert "too many that are unknown" in told[-1]
    assert kept.asked(SHA) == len(DATA), "what is known costs nothing"
    assert kept.size(secrets.token_hex(32)) is None, "who uploads may ask for any"


@pytest.mark.slow
@pytest.mark.usefixtures("service")
def test_who_waits_for_the_bucket_keeps_nobody_else_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can ask for blobs that are nowhere: metadata is served meanwhile."""
    with (
        RepositorySimulator(tmp_path) as repo,
        ConsoleProcess(tmp_path, repo, arguments=("--broker", "none")) as console,
    ):
        console.upload()
        console.stop()
        with hole(monkeypatch) as asked:
            console.arguments = ("--broker", "none", "--blobs", "s3://models/fleet")
            console.start()
            origin = Origin(console.ready["devices"], ca=None)

            def ask() -> None:
                with suppress(LittoralError):
                    origin.get(f"repo/blobs/{secrets.token_hex(32)}", limit=10, read_s=60)

            threads = [threading.Thread(target=ask) for _ in range(12)]
            for thread in threads:
                thread.start()
            until(lambda: asked, "the bucket is asked")
            reply = origin.get("repo/metadata/timestamp.json", limit=100_000, read_s=5)
            assert reply.status == 200
        for thread in threads:
            thread.join()
        with pytest.raises(UnreachableError, match="503"):
            origin.get(f"repo/blobs/{SHA}", limit=10)
        origin.close()
    said = (tmp_path / "console.log").read_text()
    assert re.search(r"s3://models: .*: .* \[storage\]", said), "whoever runs the console knows"


def test_who_lacks_boto3_is_told_which_extra_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"littoral\[s3\]"):
        blobs.of("s3://models/x", data=tmp_path)


@pytest.mark.slow
def test_a_device_takes_from_the_bucket_what_its_console_has_there(
    service: Service, tmp_path: Path
) -> None:
    """Published, uploaded, pushed, taken; the console's own disk has no blob at any time."""
    with RepositorySimulator(tmp_path) as repo:
        repo.publish(repo.bundle("digits", 1))
        arguments = ("--broker", "none", "--blobs", f"s3://{service.bucket}/fleet")
        tree = Tree(tmp_path / "device")
        tree.make()
        tree.settings.write_text(SETTINGS)
        with ConsoleProcess(tmp_path, repo, arguments=arguments) as console:
            console.upload()
            here = console.data / "repo" / "blobs"
            assert not here.exists() or list(here.iterdir()) == []
            enroll(console.ready["devices"], console.token(), tree, name="pi-7")
            with ServeSimulator(tree) as serve:
                agent = AgentProcess(tree, tmp_path / "agent.log")
                try:
                    console.push("digits:1")
                    until(lambda: serve.running == {"digits": 1}, "release 1 runs", limit_s=30)
                    # Started again, it finds there what it had adopted; more may be added.
                    console.stop()
                    console.start()
                    repo.publish(repo.bundle("digits", 2))
                    console.upload()
                    console.push("digits:2")
                    until(lambda: serve.running == {"digits": 2}, "release 2 runs", limit_s=30)
                finally:
                    agent.stop()
            assert not here.exists() or list(here.iterdir()) == []
            _range(console, tree)
            shown = console.rest.get("releases/digits/2")["files"][0]
            assert len(list(here.glob("*")) if here.exists() else []) == 0
            assert shown["sha256"]


def _range(console: ConsoleProcess, tree: Tree) -> None:
    """A download that was cut goes on in the bucket where it ended."""
    manifest = console.rest.get("releases/digits/1")
    one = manifest["files"][0]
    file = File(sha256=one["sha256"], size=one["size"])
    another = Tree(tree.root.parent / "another")
    another.make()
    origin = Origin(console.ready["devices"], ca=identity.of(tree).console_ca)
    source = Repository(origin, hosts=Hosts(ca=Public()))
    with source.stream(f"blobs/{file.sha256}") as stream:
        another.part(file.sha256).write_bytes(b"".join(stream.chunks)[:7])
    brought = bring([file], source, another, limits=Limits(), halt=Halt())
    assert brought.bytes == file.size - 7
    origin.close()

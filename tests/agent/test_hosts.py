"""Copies of a repository on other people's servers, and files that lie elsewhere."""

import hashlib
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from littoral.errors import (
    BehindError,
    DeniedError,
    ForgottenError,
    LittoralError,
    UnreachableError,
)
from littoral.wire.journal import State
from littoral_agent.hosts import Hosts, Repository, copy
from littoral_agent.origin import Origin
from littoral_agent.tls import Public
from simulators import hosting
from simulators.broker import ConsoleCa
from simulators.device import QUICK, Device
from simulators.hosting import needs_nginx
from simulators.repository import Fault, RepositorySimulator

BLOB = b"\0\1 a model " * 20_000


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path / "publisher") as simulator:
        simulator.publish(simulator.bundle("digits", 1))
        yield simulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository that is none, but for the names of its files."""
    found = tmp_path / "www"
    (found / "blobs").mkdir(parents=True)
    (found / "metadata").mkdir()
    (found / "blobs" / hashlib.sha256(BLOB).hexdigest()).write_bytes(BLOB)
    (found / "metadata" / "timestamp.json").write_bytes(b"{}")
    return found


NAME = f"blobs/{hashlib.sha256(BLOB).hexdigest()}"


@contextmanager
def asking(url: str, ca: Path | None = None) -> Iterator[Repository]:
    hosts = Hosts(ca=Public(ca))
    try:
        yield copy(url, hosts)
    finally:
        hosts.close()


def whole(source: Repository, name: str = NAME, *, start: int = 0) -> tuple[int, bytes]:
    with source.stream(name, start=start) as stream:
        return stream.start, b"".join(stream.chunks)


class Answers(BaseHTTPRequestHandler):
    """What a test wants to be answered, by path."""

    protocol_version = "HTTP/1.1"
    plan: dict[str, tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.plan.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(plan: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, Any]]:
    kind = type("Planned", (Answers,), {"plan": plan, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as made:
        made.daemon_threads = True
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}", kind
        finally:
            made.shutdown()
            thread.join(10)


# -- servers as they are installed


@needs_nginx
@pytest.mark.parametrize(
    "more",
    [
        "",
        "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;",
        "max_ranges 0;",
        "limit_rate 2m;",
        "autoindex on; add_header Cache-Control immutable;",
    ],
    ids=["plain", "gzip", "no-range", "slow", "index"],
)
def test_a_copy_on_nginx(tmp_path: Path, folder: Path, more: str) -> None:
    tls = ConsoleCa(tmp_path / "tls")
    with (
        hosting.nginx(tmp_path, folder, tls=tls, more=more) as url,
        asking(url, tls.ca) as source,
    ):
        assert whole(source) == (0, BLOB)
        start, rest = whole(source, start=100_000)
        assert BLOB[start:] == rest
        assert start == (0 if "max_ranges" in more else 100_000)
        assert source("metadata/timestamp.json", limit=100) == b"{}"
        with pytest.raises(ForgottenError):
            source("metadata/2.root.json", limit=100)


@needs_nginx
def test_a_server_whom_this_system_does_not_know_is_not_asked(tmp_path: Path, folder: Path) -> None:
    tls = ConsoleCa(tmp_path / "tls")
    with hosting.nginx(tmp_path, folder, tls=tls) as url, asking(url) as source:
        with pytest.raises(UnreachableError, match=r"captive portal.*sources_ca"):
            whole(source)
        assert "GET" not in next(tmp_path.glob("nginx-*/access.log")).read_text()


@needs_nginx
@pytest.mark.parametrize(
    ("more", "error"),
    [
        ("error_page 404 =200 /index.html;", UnreachableError),
        ("error_page 404 /index.html;", BehindError),
        ("return 403;", BehindError),
        ("return 410;", BehindError),
        ("return 401;", DeniedError),
        ("return 503;", UnreachableError),
        ("return 302 http://portal.example/login;", UnreachableError),
        ("return 301 https://127.0.0.1:$server_port/again;", UnreachableError),
    ],
)
def test_what_other_servers_answer_where_there_is_no_such_file(
    tmp_path: Path, folder: Path, more: str, error: type[Exception]
) -> None:
    """A page that comes with 200 is nobody's file, and a copy may not have it yet."""
    (folder / "index.html").write_text("<!doctype html><title>Sorry</title>")
    tls = ConsoleCa(tmp_path / "tls")
    with (
        hosting.nginx(tmp_path, folder, tls=tls, more=more) as url,
        asking(url, tls.ca) as source,
        pytest.raises(error) as caught,
    ):
        whole(source, "blobs/" + "0" * 64)
    if "=200" in more:
        assert "a page came in its place" in str(caught.value)


@needs_nginx
def test_what_is_packed_though_it_should_not_be_is_not_unpacked(
    tmp_path: Path, folder: Path
) -> None:
    tls = ConsoleCa(tmp_path / "tls")
    more = "add_header Content-Encoding gzip;"
    with (
        hosting.nginx(tmp_path, folder, tls=tls, more=more) as url,
        asking(url, tls.ca) as source,
    ):
        with pytest.raises(DeniedError, match=r"packed \(gzip\)"):
            whole(source)
        with pytest.raises(DeniedError, match=r"packed \(gzip\)"):
            source("metadata/timestamp.json", limit=100)


def test_a_copy_on_pythons_own_server(tmp_path: Path, folder: Path) -> None:
    """HTTP/1.0, and no ranges."""
    with hosting.python(tmp_path, folder.parent) as url, asking(f"{url}/www/") as source:
        assert whole(source, start=100) == (0, BLOB)
        with pytest.raises(BehindError):
            whole(source, "blobs/" + "0" * 64)


@needs_nginx
def test_a_device_takes_a_release_from_a_copy(tmp_path: Path, repo: RepositorySimulator) -> None:
    """Metadata and files: of the console it hears what to run, and the time."""
    tls = ConsoleCa(tmp_path / "tls")
    shutil.copytree(repo.folder, tmp_path / "www" / "fleet")
    with hosting.nginx(tmp_path, tmp_path / "www", tls=tls) as url:
        pi = Device(
            tmp_path / "device",
            repo,
            settings=replace(QUICK, sources=(f"{url}/fleet",), sources_ca=str(tls.ca)),
        )
        try:
            pi.order("digits", 1)
            pi.settle()
            assert pi.good("digits") == 1
            # It was copied before: that is nobody's attack, and the console has what is missing.
            repo.publish(repo.bundle("digits", 2))
            pi.settings = replace(pi.settings, sources=("https",))
            pi.restart_agent()
            repo.fault("blobs/*", Fault.BROKEN)
            pi.order("digits", 2)
            pi.settle(lambda: pi.state("digits") is State.FETCHING)
            pi.settings = replace(pi.settings, sources=(f"{url}/fleet",))
            pi.restart_agent()
            repo.honest()
            pi.order("digits", 2)
            pi.settle(lambda: pi.life.agenda.unfetched is not None)
            assert pi.life.agenda.unfetched is not None
            assert pi.life.agenda.unfetched.code == "behind"
            assert "refused" not in [event for event, _ in pi.told("digits")]
            pi.settings = replace(pi.settings, sources=(f"{url}/fleet", "https"))
            pi.restart_agent()
            pi.order("digits", 2)
            pi.settle()
            assert pi.good("digits") == 2
        finally:
            pi.stop()


@needs_nginx
@pytest.mark.parametrize("half", [False, True], ids=["older", "half"])
def test_a_copy_that_is_behind_is_waited_for(
    tmp_path: Path, repo: RepositorySimulator, *, half: bool
) -> None:
    """Seen: what was pushed before it was copied was refused for a quarter of an hour."""
    tls, there = ConsoleCa(tmp_path / "tls"), tmp_path / "www" / "fleet"
    shutil.copytree(repo.folder, there)
    with hosting.nginx(tmp_path, tmp_path / "www", tls=tls) as url:
        settings = replace(QUICK, sources=(f"{url}/fleet",), sources_ca=str(tls.ca))
        pi = Device(tmp_path / "device", repo, settings=settings)
        try:
            repo.publish(repo.bundle("digits", 2))
            if half:
                shutil.copy(repo.folder / "metadata/timestamp.json", there / "metadata")
            pi.order("digits", 2)
            pi.settle(lambda: pi.wishes.unreached is not None)
            assert pi.wishes.unreached is not None
            assert pi.wishes.unreached.code == "behind"
            assert pi.told("digits") == []
            shutil.copytree(repo.folder, there, dirs_exist_ok=True)
            pi.settle(lambda: "digits" in pi.life.journals and pi.good("digits") == 2)
        finally:
            pi.stop()


# -- files that lie elsewhere


def test_a_file_lies_where_one_is_sent() -> None:
    """A range goes along; what is part of the address is asked for, and told to nobody."""
    with server({"/x/ab?sig=s3cret": (200, {}, BLOB)}) as (there, bucket):
        plan = {f"/repo/{NAME}": (307, {"Location": f"{there}/x/ab?sig=s3cret"}, b"")}
        with server(plan) as (url, _):
            source = Repository(Origin(url, ca=None), hosts=Hosts(ca=Public()))
            assert whole(source, start=7) == (0, BLOB)
            ((path, headers),) = bucket.asked
            assert path == "/x/ab?sig=s3cret"
            assert headers["Range"] == "bytes=7-"
            assert not {"Authorization", "Cookie", "Referer"} & set(headers)
            bucket.plan["/x/ab?sig=s3cret"] = (503, {}, b"")
            with pytest.raises(UnreachableError) as caught:
                whole(source)
            assert "s3cret" not in str(caught.value)
            bucket.plan["/x/ab?sig=s3cret"] = (404, {}, b"")
            with pytest.raises(ForgottenError) as refused:
                whole(source)
            assert "s3cret" not in str(refused.value)
            # The console's own right there has ended, or its clock is wrong: no word on the file.
            for status in (400, 401, 403):
                bucket.plan["/x/ab?sig=s3cret"] = (status, {}, b"")
                with pytest.raises(UnreachableError, match=f"nobody lets us in.*{status}") as shut:
                    whole(source)
                assert "s3cret" not in str(shut.value)
                with pytest.raises(UnreachableError, match="nobody lets us in"):
                    source(NAME, limit=10)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_small_files_lie_elsewhere_too(status: int) -> None:
    plan = {"/repo/a": (status, {"Location": "/b"}, b""), "/b": (200, {}, b"{}")}
    with server(plan) as (url, _):
        source = Repository(Origin(url, ca=None), hosts=Hosts(ca=Public()))
        assert source("a", limit=10) == b"{}"


def test_nobody_is_sent_around_for_ever() -> None:
    with server({"/repo/a": (307, {"Location": "/repo/a"}, b"")}) as (url, kind):
        source = Repository(Origin(url, ca=None), hosts=Hosts(ca=Public()))
        with pytest.raises(UnreachableError, match="more than 3 times"):
            source("a", limit=10)
        assert len(kind.asked) == 4


def test_what_is_said_to_the_console_goes_nowhere_else() -> None:
    """A redirect of a control path is no answer, and nothing of what was said goes there."""
    with server({}) as (there, kind):
        moved = (307, {"Location": f"{there}/device/messages"}, b"")
        with server({"/device/desired": moved}) as (url, _):
            origin = Origin(url, ca=None)
            reply = origin.get("device/desired", limit=10, headers={"Authorization": "Bearer x"})
            assert reply.status == 307
            with pytest.raises(LittoralError):
                reply.granted("desired")
        assert kind.asked == []


def test_an_answer_in_chunks_may_be_left_unread() -> None:
    """Its connection is not used again: the next answer would come after the rest of this one."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    first: list[bytes] = []

    def answer(server: socket.socket) -> None:
        with server.accept()[0] as link:
            link.recv(4096)
            link.sendall(head + b"3\r\nabc\r\n")
            with server.accept()[0] as another:
                another.recv(4096)
                another.sendall(head + b"2\r\n{}\r\n0\r\n\r\n")
                first.append(link.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        origin = Origin(f"http://127.0.0.1:{server.getsockname()[1]}", ca=None)
        source = Repository(origin, prefix="")
        with source.stream("a") as stream:
            assert (stream.total, next(stream.chunks)) == (None, b"abc")
        assert source("b", limit=10) == b"{}"
        thread.join(10)
    assert first == [b""]

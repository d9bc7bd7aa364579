"""Targets that name a server as well: what they ask, and who is named."""

import pytest

from littoral_serve.http.targets import origin_form


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://localhost:8501/v1/models/m?top=2", b"/v1/models/m?top=2", b"localhost:8501"),
        (b"HTTPS://Board.example/v2/", b"/v2/", b"Board.example"),
        (b"http://[::1]:80/x", b"/x", b"[::1]:80"),
        (b"http://evil.example//localhost/", b"//localhost/", b"evil.example"),
        (b"http://board", b"/", b"board"),
        (b"http://board?x=http://y/", b"/?x=http://y/", b"board"),
    ],
)
def test_whom_a_target_names_is_the_host(target: bytes, path: bytes, host: bytes) -> None:
    headers = {b"host": b"other", b"accept": b"*/*"}
    assert origin_form(target, headers) == path
    assert headers == {b"host": host, b"accept": b"*/*"}
    nobody: dict[bytes, bytes] = {}
    assert origin_form(target, nobody) == path
    assert nobody == {}


@pytest.mark.parametrize(
    "target",
    [
        *(b"/v1/x", b"//evil.example/x", b"/http://evil.example/", b"*", b"", b"ftp://board/x"),
        *(b"http:///v1/x", b"http://", b"http:/x", b"http://localhost:80@evil.example/x"),
        *(b"http://@localhost/x", b"http://localhost#@evil.example/x", b"xhttp://board/"),
    ],
)
def test_any_other_target_is_left_as_it_is(target: bytes) -> None:
    headers = {b"host": b"board"}
    assert origin_form(target, headers) == target
    assert headers == {b"host": b"board"}

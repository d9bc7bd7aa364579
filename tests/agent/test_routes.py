"""Where a device may go, and where nobody sends it."""

from pathlib import Path

import pytest

from littoral.errors import UnreachableError
from littoral_agent import routes

CONSOLE = "https://console.example:8443/repo/blobs/ab"


@pytest.mark.parametrize(
    ("base", "location", "found"),
    [
        (CONSOLE, "https://bucket.example/x?sig=1", "https://bucket.example/x?sig=1"),
        (CONSOLE, "/files/ab", "https://console.example:8443/files/ab"),
        (CONSOLE, "cd", "https://console.example:8443/repo/blobs/cd"),
        (CONSOLE, "https://bucket.example/x#there", "https://bucket.example/x"),
        ("https://127.0.0.1:8443/repo/x", "http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
        ("http://localhost:80/x", "https://bucket.example/x", "https://bucket.example/x"),
    ],
)
def test_files_may_lie_elsewhere(base: str, location: str, found: str) -> None:
    assert routes.moved(base, location) == found


@pytest.mark.parametrize(
    "location",
    [
        "http://portal.example/login",
        "http://console.example:8443/repo/blobs/ab",
        "https://user:word@bucket.example/x",
        "http://127.0.0.1:8501/v1/models",
        "https://localhost/x",
        "file:///etc/passwd",
        "ftp://bucket.example/x",
        "https://[::1",
        "https://bucket.example:port/x",
        "//127.0.0.1/x",
    ],
)
def test_nobody_sends_a_device_there(location: str) -> None:
    with pytest.raises(UnreachableError) as caught:
        routes.moved(CONSOLE, location)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://cdn.example", "https://cdn.example:444/fleet/repo/", "http://127.0.0.1:8000/x"]
)
def test_what_may_be_a_copy(url: str) -> None:
    routes.check_copy(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example/repo",
        "https://",
        "https://user@cdn.example/repo",
        "https://cdn.example/repo?sv=1",
        "https://cdn.example/repo#x",
        "https://cdn.example:port/repo",
    ],
)
def test_what_may_be_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|[Pp]ort"):
        routes.check_copy(url)


def test_a_proxy_by_what_the_settings_say() -> None:
    found = routes.proxy("http://fleet%40x@proxy.example:3128", secret="/s", beside=("NAS.lan",))
    assert found is not None
    assert (found.where, found.user, found.secret) == (
        *("proxy.example:3128", "fleet@x"),
        Path("/s"),
    )
    assert routes.proxy("") is None


@pytest.mark.parametrize(
    "url",
    [
        "proxy.example:3128",
        "https://proxy.example:3128",
        "socks5://proxy.example",
        "http://user:word@proxy.example",
        "http://proxy.example/path",
    ],
)
def test_no_proxy_at_all(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|proxy_secret"):
        routes.proxy(url)


@pytest.mark.parametrize(
    ("host", "serves"),
    [
        ("console.example", True),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("::1", False),
        ("localhost", False),
        ("nas.lan", False),
        ("a.corp.example", False),
        ("corp.example", True),
        ("xnas.lan", True),
    ],
)
def test_some_hosts_need_no_proxy(host: str, serves: bool) -> None:  # noqa: FBT001
    found = routes.proxy("http://proxy:1", beside=("nas.lan", ".corp.example"))
    assert found is not None
    assert found.serves(host) is serves


@pytest.mark.parametrize("beside", ["", ".", "*.lan", "nas.lan:80", "http://nas.lan", "10.0.0.0/8"])
def test_what_would_never_be_beside_a_proxy_is_no_setting(beside: str) -> None:
    with pytest.raises(ValueError, match="proxy_beside: expected hosts"):
        routes.proxy("http://proxy.lan:3128", beside=(beside,))
    for good in ("nas", "nas.lan", ".lan", "10.0.0.7", "fd00::7", "::ffff:10.0.0.7"):
        assert routes.proxy("http://proxy.lan:3128", beside=(good,)) is not None


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("http://proxy.lan:0", ""),
        ("http://pi\n@proxy.lan", ""),
        ("http://proxy.lan", "/etc/secret"),
    ],
)
def test_a_proxy_that_would_be_another_or_nobodys(url: str, secret: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        routes.proxy(url, secret=secret)

"""Pages of other servers that call serve: what their browsers are told, and who is refused."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

from simulators.served import FIXTURES, Serve, serving

PAGE = "https://shop.example:8443"


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    settings = tmp_path_factory.mktemp("serve") / "serve.toml"
    settings.write_text('hosts = ["shop.example"]\n')
    with serving(f"--settings={settings}", f"--model=m={FIXTURES}/tiny_int8.tflite") as running:
        yield running


def asked(serve: Serve, method: str, path: str, *, origin: str | None, **how: Any) -> Any:
    headers = {} if origin is None else {"Origin": origin}
    return requests.request(method, f"{serve.url}{path}", headers=headers, timeout=20, **how)


@pytest.mark.parametrize("path", ["/v1/models/m:predict", "/v2/models/m/infer", "/metrics"])
def test_a_browser_asks_before_its_page_may_send(serve: Serve, path: str) -> None:
    told = asked(serve, "OPTIONS", path, origin=PAGE)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["Access-Control-Allow-Origin"] == PAGE
    assert told.headers["Access-Control-Allow-Methods"] == "POST, GET"
    assert "Content-Type" in told.headers["Access-Control-Allow-Headers"]
    assert asked(serve, "OPTIONS", path, origin=None).status_code == 400
    assert asked(serve, "OPTIONS", path, origin="https://other.example").status_code == 403
    assert asked(serve, "OPTIONS", path, origin="null").status_code == 403


@pytest.mark.parametrize("count", [1, 40])
def test_a_page_that_may_call_can_read_the_answer(serve: Serve, count: int) -> None:
    body = {"instances": np.zeros((count, 8, 8, 1)).tolist()}
    path = "/v1/models/m:predict"
    told = asked(serve, "POST", path, origin=PAGE, json=body)
    assert len(told.json()["predictions"]) == count
    assert told.headers["Access-Control-Allow-Origin"] == PAGE
    assert told.headers["Vary"] == "Origin"
    wrong = asked(serve, "POST", path, origin=PAGE, json={})
    assert wrong.status_code == 400
    assert wrong.headers["Access-Control-Allow-Origin"] == PAGE
    foreign = asked(serve, "POST", path, origin="https://other.example", json=body)
    assert foreign.status_code == 403
    assert "Access-Control-Allow-Origin" not in foreign.headers
    own = asked(serve, "POST", path, origin=None, json=body)
    assert "Access-Control-Allow-Origin" not in own.headers

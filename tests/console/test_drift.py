"""Drift of what devices answer: what the console says of it, and to whom."""

import requests

from console.coast import MOVED, PASSWORD, USER, Coast
from littoral.wire import drift
from littoral_console import queries
from littoral_console.drifting import drifts


def _levels(coast: Coast, device: str) -> dict[tuple[str, str], str]:
    found = coast.context.read(
        lambda c: drifts(c, coast.context.repository, since_ms=0, devices=[device], model="digits")
    )
    newest = found[-1]
    return {(newest.model, kind.kind): kind.level for kind in newest.kinds}


def test_a_camera_that_was_moved_is_told_from_those_that_were_not(coast: Coast) -> None:
    still = {("digits", "classes"): "stable", ("digits", "confidence"): "stable"}
    assert _levels(coast, "quay-cam-1") == still
    moved = _levels(coast, MOVED)
    assert moved["digits", "classes"] == "significant"


def test_what_was_answered_is_no_latency(coast: Coast) -> None:
    found = coast.context.read(lambda c: queries.latency(c, since_ms=0))
    assert not {one.stage for one in found} & set(drift.KINDS)


def test_a_release_without_a_baseline_here_is_left_out(coast: Coast) -> None:
    answered = coast.context.read(lambda c: queries.answered(c, since_ms=0))
    assert {(one.model, one.release) for one in answered} >= {("digits", 2), ("keywords", 1)}
    (some,) = {one.model for one in answered if one.model == "digits"}
    assert some


def test_the_page_of_a_device_shows_it_to_who_signed_in(url: str) -> None:
    with requests.Session() as session:
        session.headers["Accept"] = "text/html"
        session.post(f"{url}/login", data={"username": USER, "password": PASSWORD}, timeout=30)
        pages = {
            name: session.get(f"{url}/devices/{name}", timeout=30).text
            for name in (MOVED, "quay-cam-1")
        }
        said = session.get(f"{url}/api/v1/telemetry/drift?model=digits", timeout=30).json()
    assert "moved far" in pages[MOVED]
    assert "moved far" not in pages["quay-cam-1"]
    assert "stable" in pages["quay-cam-1"]
    assert {kind["kind"] for one in said for kind in one["kinds"]} == {"classes", "confidence"}

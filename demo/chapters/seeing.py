"""See: percentiles that arrived as merged sketches, and the console's pages."""

from typing import Any

from chapters.fleet import PASSWORD, USER
from pictures import chromium, looker
from stage import UnmetError, expect, wait_for
from world import DEVICE, MODEL, World

STAGES = {"queue", "preprocess", "invoke", "postprocess"}
PAGES = {
    "overview": "/",
    "devices": "/devices",
    "device": f"/devices/{DEVICE}",
    "releases": "/releases",
    "release": f"/releases/{MODEL}/2",
    "history": "/history",
    "telemetry": "/telemetry",
    "upload": "/upload",
}


def telemetry(world: World) -> dict[str, Any]:
    """Ask for p50, p95 and p99 per release and stage."""
    found = wait_for("latency of releases 1 and 2", lambda: _both(world), within_s=30)
    figures: dict[str, Any] = {}
    for row in found:
        p50, p95, p99 = row["p50_us"], row["p95_us"], row["p99_us"]
        expect(0 <= p50 <= p95 <= p99, "p50 ≤ p95 ≤ p99", row)
        figures[f"release {row['release']} {row['stage']}"] = {
            "count": row["count"],
            "p50_us": round(p50, 1),
            "p95_us": round(p95, 1),
            "p99_us": round(p99, 1),
        }
    return figures


def pages(world: World) -> dict[str, Any]:
    """Look at every page in Chromium, where there is one."""
    if chromium() is None:
        return {"looked": False, "why": "no chromium here; run: apt-get install chromium"}
    folder, seen = world.work / "pictures", {}
    with looker(world.console) as browser:
        browser.login(USER, PASSWORD)
        for name, path in PAGES.items():
            seen[name] = browser.look(path, folder / f"{name}.png")
    expect(not browser.trouble, "pages without errors", browser.trouble)
    expect(DEVICE in seen["devices"], f"{DEVICE!r} among the devices", seen["devices"][:300])
    for code in ("hash", "signature", "outputs", "latency", "wrong-hardware"):
        expect(code in seen["history"], f"{code!r} in the history", seen["history"][:2000])
    return {"looked": True, "pages": len(seen), "pictures": str(folder)}


def _both(world: World) -> list[dict[str, Any]] | None:
    found = [row for row in world.fleet("telemetry")["latency"] if row["model"] == MODEL]
    for release in (1, 2):
        stages = {row["stage"] for row in found if row["release"] == release and row["count"]}
        if not stages >= STAGES:
            raise UnmetError(f"all stages of release {release}", sorted(stages))
    return found

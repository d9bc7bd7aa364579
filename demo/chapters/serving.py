"""Use, update under load: what clients of the device meet."""

import json
import time
from typing import Any

import numpy as np

from rest import Rest, predict
from stage import UnmetError, expect, wait_for
from world import MODEL, World

CLIENTS = 8


def use(world: World) -> dict[str, Any]:
    """Send the whole test set through ``:predict``: exactly as accurate as the converter said."""
    with np.load(world.models / "test.npz", allow_pickle=False) as test:
        x, y = test["x"], test["y"]
    # The mean of all digits is none of them: no two models are of one mind about it.
    mean = x.mean(axis=0, keepdims=True)
    (world.work / "sample.json").write_text(json.dumps({"instances": mean.tolist()}))
    started, right, guesses = time.monotonic(), 0, []
    with Rest(world.serve) as serve:
        for image, digit in zip(x, y, strict=True):
            answer = serve.post(f"/v1/models/{MODEL}:predict", {"instances": [image.tolist()]})
            guesses.append(int(np.argmax(answer["predictions"][0])))
            right += guesses[-1] == int(digit)
        seconds = time.monotonic() - started
        state = serve.get(f"/v1/models/{MODEL}")["model_version_status"]
        metadata = serve.get(f"/v1/models/{MODEL}/metadata")
    expect(state[0]["version"] == "1", "version 1 of the model", state)
    expect(metadata["model_spec"]["name"] == MODEL, "its metadata", metadata)
    wanted = round(world.accuracy[1] * len(y))
    expect(right == wanted, f"{wanted} of {len(y)} right, as the converter found", right)
    together = [int(np.argmax(row)) for row in predict(world.serve, MODEL, x[:64].tolist())]
    expect(together == guesses[:64], "the same answers in one request of 64", together)
    return {
        "samples": len(y),
        "right": right,
        "accuracy": round(right / len(y), 4),
        "requests_per_s": round(len(y) / seconds),
    }


def update(world: World) -> dict[str, Any]:
    """Eight clients hammer while release 2 arrives, is proven and takes over."""
    world.publish(world.bundle("digits-2"))
    before = world.answer()
    world.start_load(clients=CLIENTS)
    started = time.monotonic()
    world.push(2)
    switched = wait_for("an answer of release 2", lambda: _other(world, before), within_s=60)
    seconds = time.monotonic() - started
    world.wait_running(2)
    met = world.end_load()
    met.check(answers=2)
    return {
        "clients": met.clients,
        "requests": met.requests,
        "failed": met.failed,
        "requests_per_s": round(met.requests / met.seconds),
        "latency_ms": met.latency_ms,
        "push_to_serving_s": round(seconds, 2),
        "answer_before": round(max(before), 4),
        "answer_after": round(max(switched), 4),
    }


def rollback(world: World) -> dict[str, Any]:
    """``littoral fleet push digits:1``, on purpose; the clients of the refusals still ask."""
    after, started = world.answer(), time.monotonic()
    world.push(1)
    world.wait_running(1)
    expect(world.answer() != after, "release 1 to answer otherwise than release 2", after)
    seconds, met = time.monotonic() - started, world.end_load()
    met.check(answers=2)
    return {
        "release": 1,
        "seconds": round(seconds, 2),
        "requests_since_the_first_refusal": met.requests,
        "failed": met.failed,
        "latency_ms": met.latency_ms,
    }


def _other(world: World, before: list[float]) -> list[float] | None:
    found = world.answer()
    if found == before:
        raise UnmetError("another answer", "that of release 1")
    return found

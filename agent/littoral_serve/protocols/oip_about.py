"""What the Open Inference Protocol tells of a server and its models: metadata and figures."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from littoral import __version__
from littoral.wire.datatypes import DATATYPES
from littoral.wire.sketch import Sketch
from littoral.wire.stages import STAGES
from littoral_serve.protocols import oip_types
from littoral_serve.running.live import Live, Models
from littoral_serve.running.refusals import UnknownServableError
from littoral_serve.running.signatures import DEFAULT, View

EXTENSIONS: Final = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
)
_PLATFORM: Final = "littoral"
_MOST_INSTANCES: Final = 1024  # what a client is told that asks; what limits it is the body's size
_FIGURES: Final = dict(
    zip(STAGES, ("queue", "compute_input", "compute_infer", "compute_output"), strict=True)
)


def server() -> dict[str, Any]:
    return {"name": _PLATFORM, "version": __version__, "extensions": list(EXTENSIONS)}


def find(models: Models, name: str, release: int | None) -> Live:
    """Return the model ``name``, which must be ``release`` if one is asked for.

    Raises UnknownServableError.
    """
    live = models.get(name)
    if live is not None and release in (None, live.release):
        return live
    which = "" if release is None else f" version {release}"
    raise UnknownServableError(f"Request for unknown model: '{name}'{which} is not found")


def model(live: Live) -> dict[str, Any]:
    signature = live.signatures[DEFAULT]
    return {
        "name": live.model,
        "versions": [str(live.release)],
        "platform": _PLATFORM,
        "inputs": [_tensor(view, live.batch) for view in signature.inputs],
        "outputs": [_tensor(view, live.batch) for view in signature.outputs],
    }


def configuration(live: Live) -> dict[str, Any]:
    """Return what Triton's clients ask before they send batches."""
    signature = live.signatures[DEFAULT]
    return {
        "name": live.model,
        "platform": _PLATFORM,
        "backend": _PLATFORM,
        "max_batch_size": 0 if live.batch is None else max(live.batch, _MOST_INSTANCES),
        "input": [
            _config(view, live.batch) | {"format": _format(view)} for view in signature.inputs
        ],
        "output": [_config(view, live.batch) for view in signature.outputs],
    }


def index(lives: Iterable[Live]) -> list[dict[str, str]]:
    return [
        {"name": live.model, "version": str(live.release), "state": "READY", "reason": ""}
        for live in lives
    ]


def statistics(lives: Iterable[Live]) -> dict[str, Any]:
    return {"model_stats": [_statistics(live) for live in lives]}


def _statistics(live: Live) -> dict[str, Any]:
    meter = live.meter
    stages = dict(zip(STAGES, meter.totals(), strict=True))
    figures = {word: _duration(stages[stage]) for stage, word in _FIGURES.items()}
    executions = figures["compute_infer"]["count"]
    answered = meter.requests - meter.errors
    batch = {word: figures[word] for word in ("compute_input", "compute_infer", "compute_output")}
    figures["compute_infer"] = figures["compute_infer"] | {"count": answered}  # as it is told there
    return {
        "name": live.model,
        "version": str(live.release),
        "last_inference": meter.last_ms,
        "inference_count": meter.instances,
        "execution_count": executions,
        "inference_stats": {
            "success": {
                "count": answered,
                "ns": sum(figure["ns"] for figure in figures.values()),
            },
            "fail": {"count": meter.errors, "ns": 0},
            **figures,
            "cache_hit": {"count": 0, "ns": 0},
            "cache_miss": {"count": 0, "ns": 0},
        },
        "batch_stats": [{"batch_size": live.batch or 1, **batch}] if executions else [],
    }


def _duration(sketch: Sketch) -> dict[str, int]:
    return {"count": sketch.count, "ns": round(sketch.sum * 1e3)}


def _tensor(view: View, batch: int | None) -> dict[str, Any]:
    told = {
        "name": view.name,
        "datatype": oip_types.datatype(view),
        "shape": list(view.shape(batch)),
    }
    spec = view.spec
    if not spec.scale:
        return told
    stored: Mapping[str, Any] = {
        "stored": DATATYPES[spec.dtype],
        "scale": spec.scale,
        "zero_point": spec.zero_point,
    }
    return told | {"parameters": stored}


def _config(view: View, batch: int | None) -> dict[str, Any]:
    shape = view.spec.shape if batch is None else view.instance
    name = oip_types.datatype(view)
    return {"name": view.name, "data_type": f"TYPE_{name}", "dims": list(shape)}


def _format(view: View) -> str:
    """Return Triton's word for what the dimensions of a picture are."""
    return f"FORMAT_{view.spec.layout}" if view.spec.layout in ("NHWC", "NCHW") else "FORMAT_NONE"

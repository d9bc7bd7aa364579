"""TensorFlow Serving's ModelSpec: whom a request is for, and who answered. Pure."""

from collections.abc import Mapping
from typing import Any

from littoral_serve.protocols.servables import Spec
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import InvalidArgumentError


def spec_of(request: Mapping[str, Any]) -> Spec:
    """Return whom ``request`` names. Raises InvalidArgumentError."""
    if "model_spec" not in request:
        raise InvalidArgumentError("Missing ModelSpec")
    spec = request["model_spec"]
    name = spec.get("name", "")
    if not name:
        raise InvalidArgumentError("ModelSpec has no name specified.")
    version = spec["version"].get("value", 0) if "version" in spec else None
    return Spec(name, version, spec.get("version_label"))


def told(live: Live, signature: str | None = None) -> dict[str, Any]:
    """Return the release that answered."""
    made = {"name": live.model, "version": {"value": live.release}}
    return made if signature is None else {**made, "signature_name": signature}

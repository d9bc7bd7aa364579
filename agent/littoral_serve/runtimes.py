"""What would run a variant here, before any of its files is here: for the agent's preflight."""

from littoral.errors import BackendMissingError
from littoral.model import registered
from littoral.model.backends import backend_named
from littoral.wire.control import Needs, Runtime
from littoral_serve.tpu import Tpus


def find(needs: Needs, tpus: Tpus | None = None) -> Runtime:
    """Return the runtime for such a variant, and which of its operators it does not know.

    Raises:
        BackendMissingError: There is none.

    """
    named = needs.engine == "tflite" and tpus is not None and tpus.knows(needs.delegate)
    match "litert" if named else backend_named(needs.engine, needs.delegate, needs.hardware):
        case "litert" | "edgetpu":  # what is not compiled for an Edge TPU runs in LiteRT
            return Runtime(
                name="litert",
                version=registered.version(),
                unknown=registered.unknown(needs.operators),
            )
        case "onnx" | "cuda" | "tensorrt" as provider:
            from littoral.model.backends import onnx

            # It says of no operator what it knows: the trial will.
            return Runtime(name="onnxruntime", version=onnx.available(provider), unknown={})
        case name:
            raise BackendMissingError(f"{name} does not say what it runs")

"""gRPC as a whole: which services there are, over one listener."""

import os
from typing import TYPE_CHECKING

from littoral.errors import MissingExtraError
from littoral_serve.http.bodies import Bodies
from littoral_serve.protocols.rpc.health import Health
from littoral_serve.protocols.rpc.inference_service import InferenceService
from littoral_serve.protocols.rpc.model_service import ModelService
from littoral_serve.protocols.rpc.prediction import PredictionService
from littoral_serve.running.live import Models
from littoral_serve.running.pictures import Pictures
from littoral_serve.settings import Settings

if TYPE_CHECKING:
    from littoral_serve.protocols.rpc.listener import Listener


async def listen(
    models: Models, chosen: Settings, bodies: Bodies, pictures: Pictures | None = None
) -> "tuple[Listener, str]":
    """Return a listener on ``chosen.grpc``, and the address that it has.

    Raises:
        MissingExtraError: There is no grpcio here.
        PortInUseError, MisuseError, StorageError: It cannot listen there.

    """
    # It logs on stderr what we tell in words of our own, and takes care of forks that we never do.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        from littoral_serve.protocols.rpc.listener import Limits, Listener
    except ModuleNotFoundError as e:
        raise MissingExtraError("gRPC", extra="grpc", missing="grpcio") from e

    def ready() -> bool:
        return not listener.ending

    services = [
        PredictionService(models, pictures).service,
        ModelService(models).service,
        InferenceService(models, pictures, ready=ready).service,
    ]
    limits = Limits(
        max_message_bytes=chosen.max_body_bytes,
        max_calls=chosen.max_connections,
        receive_timeout_s=chosen.receive_timeout_s,
        keep_alive_s=chosen.keep_alive_s,
        deadline_s=chosen.deadline_s,
    )
    listener = Listener([*services, Health(services, ready=ready).service], limits, bodies)
    return listener, await listener.start(chosen.grpc)

"""KServe's SDK: a model of one's own behind its REST server; binary tensors."""

import sys
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from peers.engine import Engine


class Run(Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("m")
        self.engine = Engine()
        self.ready = True

    async def predict(
        self, payload: InferRequest, headers: Any = None, response_headers: Any = None
    ) -> InferResponse:
        made = self.engine.run(payload.inputs[0].as_numpy().astype(self.engine.dtype))
        output = InferOutput("y", list(made.shape), made.dtype.name.upper())
        output.set_data_from_numpy(made, binary_data=True)
        return InferResponse(payload.id or "0", "m", [output])


ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1).start([Run()])

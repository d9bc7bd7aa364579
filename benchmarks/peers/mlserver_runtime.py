"""MLServer: a runtime of one's own, in its process; JSON of the Open Inference Protocol."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from peers.engine import Engine


class Run(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        self.engine = Engine()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0]).astype(self.engine.dtype, copy=False)
        made = self.engine.run(x)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("y", made)]
        )

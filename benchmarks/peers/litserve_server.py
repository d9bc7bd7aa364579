"""LitServe: a model of one's own, JSON."""

import sys
from typing import Any

import litserve

from peers.engine import Engine


class Run(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.engine = Engine()

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["instances"]

    def predict(self, x: Any) -> Any:
        return self.engine.of_list(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Run(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )

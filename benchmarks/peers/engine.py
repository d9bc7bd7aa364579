"""The model as every peer runs it: LiteRT's interpreter, one thread, and nothing between."""

import os
import threading
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Engine:
    def __init__(self) -> None:
        self.model = Interpreter(model_path=os.environ["MODEL"], num_threads=1)
        self.model.allocate_tensors()
        (given,), (made,) = self.model.get_input_details(), self.model.get_output_details()
        self._in, self._out = given["index"], made["index"]
        self.shape, self.dtype = tuple(map(int, given["shape"])), np.dtype(given["dtype"])
        self._lock = threading.Lock()
        self.run(np.zeros(self.shape, self.dtype))

    def run(self, x: Any) -> Any:
        with self._lock:
            self.model.set_tensor(self._in, x)
            self.model.invoke()
            return self.model.get_tensor(self._out)

    def of_bytes(self, data: bytes | memoryview) -> bytes:
        made: bytes = self.run(np.frombuffer(data, self.dtype).reshape(self.shape)).tobytes()
        return made

    def of_list(self, instances: Any) -> Any:
        return self.run(np.asarray(instances, self.dtype).reshape(self.shape)).tolist()

"""A machine with TensorRT, as far as programs can tell: libraries that say so, and ONNX Runtime.

ONNX Runtime itself is the real one; it says that it was built with CUDA and TensorRT, and runs what
it is given for them on the processor. An "engine" is a file of the size of its model, that is
written where the real one writes it, and looked for there first.
"""

import os
import subprocess
from pathlib import Path

_HERE = Path(__file__).parent
_LIBRARIES = ("libcuda.so.1", "libcudart.so.12", "libcudnn.so.9", "libnvinfer.so.10")

_PATCH = """
import importlib.abc
import importlib.util
import os
import sys
from pathlib import Path


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "onnxruntime":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            patch(module)
        spec.loader.exec_module = exec_module
        return spec


def patch(module):
    cpu = "CPUExecutionProvider"
    there = ["TensorrtExecutionProvider", "CUDAExecutionProvider", cpu]
    real = module.InferenceSession

    class InferenceSession(real):
        def __init__(self, model, sess_options, providers, **more):
            self._told = [one if isinstance(one, str) else one[0] for one in providers]
            super().__init__(model, sess_options, providers=[cpu], **more)
            for one in providers:
                if not isinstance(one, str) and one[1].get("trt_engine_cache_enable"):
                    build(Path(one[1]["trt_engine_cache_path"]), model)

        def get_providers(self):
            return self._told

        def get_provider_graph_assignment_info(self):
            return [type("Part", (), {"ep_name": self._told[0]})()]

    module.get_available_providers = lambda: there
    module.InferenceSession = InferenceSession


def build(folder, model):
    engine = folder / "TensorrtExecutionProvider_TRTKernel_graph_1_0_sm87.engine"
    if engine.exists():
        assert engine.read_bytes() == model, "the engine of another model"
        return
    with open(os.environ["TMPDIR"] + "/built", "a") as log:
        log.write(str(os.getpid()) + chr(10))
    engine.write_bytes(model)


sys.meta_path.insert(0, Finder())
"""


def build(folder: Path, *, tensorrt: int = 100300) -> dict[str, str]:
    """Make it in ``folder``; return the environment of a process that shall find it.

    Each engine that is built leaves a line with its process in ``folder/built``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / _LIBRARIES[0]
    source = _HERE / "tensorrt.c"
    command = ["cc", "-shared", "-fPIC", f"-DTENSORRT={tensorrt}", "-o", str(first), str(source)]
    subprocess.run(command, check=True)
    for name in _LIBRARIES[1:]:
        (folder / name).write_bytes(first.read_bytes())
    (folder / "sitecustomize.py").write_text(_PATCH)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "LD_LIBRARY_PATH": str(folder),
        "PYTHONPATH": os.pathsep.join(paths),
        "TMPDIR": str(folder),
    }


def builders(folder: Path) -> list[int]:
    """Return which processes built an engine, one after the other."""
    try:
        return [int(line) for line in (folder / "built").read_text().split()]
    except FileNotFoundError:
        return []

"""``python -m littoral.model.probing litert|edgetpu|nvidia``: tries a runtime in this process.

For somebody who must survive it. Each step is told as it is taken (littoral.wire.probes); one
that fails ends them. Nothing here needs a model of anybody's: two tiny ones lie in probes/.
"""

import ctypes
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from littoral import records
from littoral.model import libedgetpu
from littoral.model.plugin import Delegate
from littoral.wire.probes import STEPS, Runtime, Step

_MODELS: Final = Path(__file__).with_name("probes")
_GIVEN: Final = (4, 8, 12, 16)
_WANTED: Final = [60, 25]
_ATTRIBUTES: Final = (75, 76, 16)  # of CUDA: compute capability, and how many multiprocessors


class _Wrong(Exception):  # noqa: N818 (a step's end, which nobody else sees)
    """What went wrong in the step that was being taken."""


def litert() -> Iterator[str]:
    """Import it, load a model of one operator, and check its answer."""
    start = time.perf_counter()
    interpreter, version = _litert()
    yield f"{version} in {(time.perf_counter() - start) * 1e3:.0f} ms"
    one = interpreter(model_path=str(_MODELS / "cpu.tflite"), num_threads=1)
    one.allocate_tensors()
    yield ""
    import numpy as np

    one.set_tensor(one.get_input_details()[0]["index"], np.array([_GIVEN], np.int8))
    one.invoke()
    found = one.get_tensor(one.get_output_details()[0]["index"])[0].tolist()
    if found != _WANTED:
        raise _Wrong(f"expected {_WANTED}, found {found}: this machine computes wrongly")
    yield f"numpy {np.__version__}"


def edgetpu() -> Iterator[str]:
    """Load the library, list its devices, and let it take over an operator of its own."""
    library = libedgetpu.load()
    yield _loaded_from("libedgetpu")
    yield libedgetpu.version(library)
    devices = libedgetpu.devices(library)
    yield ", ".join(f"{device.kind} {device.path}" for device in devices)
    if not devices:
        return
    interpreter, version = _litert()
    yield version
    delegate = Delegate(libedgetpu.LIBRARY)
    yield ""
    one = interpreter(model_path=str(_MODELS / "edgetpu.tflite"), experimental_delegates=[delegate])
    one.allocate_tensors()
    yield ""
    one.invoke()
    yield ""


def nvidia() -> Iterator[str]:
    """Ask the driver for its devices, and the libraries for their versions; none is no error."""
    driver = ctypes.CDLL("libcuda.so.1")
    if (status := driver.cuInit(0)) != 0:
        raise _Wrong(f"the driver does not start: cuInit gave {status}")
    yield _thousands(_number(driver.cuDriverGetVersion))
    name = ctypes.create_string_buffer(256)
    if _number(driver.cuDeviceGetCount) == 0 or driver.cuDeviceGetName(name, 256, 0) != 0:
        raise _Wrong("the driver finds no device")
    yield f"{name.value.decode(errors='replace')}, {_capability(driver)}"
    cuda = _first("libcudart.so", "13", "12", "11.0", "10.2")
    yield _thousands(_number(cuda.cudaRuntimeGetVersion)) if cuda else ""
    cudnn = _first("libcudnn.so", "9", "8")
    yield str(ctypes.c_size_t(cudnn.cudnnGetVersion()).value) if cudnn else ""
    tensorrt = _first("libnvinfer.so", "11", "10", "8")
    yield _tensorrt(tensorrt.getInferLibVersion()) if tensorrt else ""


def _capability(driver: ctypes.CDLL) -> str:
    """Return what programs for the first GPU are built for: boards of one name differ in it."""
    major, minor, units = (
        _number(lambda found, which=which: driver.cuDeviceGetAttribute(found, which, 0))
        for which in _ATTRIBUTES
    )
    return f"{major}.{minor}, {units} multiprocessors"


def _first(name: str, *versions: str) -> ctypes.CDLL | None:
    for version in versions:
        try:
            return ctypes.CDLL(f"{name}.{version}")
        except OSError:
            continue
    return None


def _number(ask: Callable[..., int]) -> int:
    found = ctypes.c_int()
    if (status := ask(ctypes.byref(found))) != 0:
        raise _Wrong(f"a call of the driver gave {status}")
    return found.value


def _thousands(version: int) -> str:
    """Return 12040 as people say it: 12.4."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _tensorrt(version: int) -> str:
    """Return 8502 and 100300 as people say them: 8.5.2 and 10.3.0."""
    step = 10_000 if version >= 10_000 else 1000  # noqa: PLR2004 (from 10.0 on)
    return f"{version // step}.{version % step // 100}.{version % 100}"


def _litert() -> tuple[Any, str]:
    from importlib.metadata import PackageNotFoundError, version

    from ai_edge_litert.interpreter import Interpreter

    try:
        return Interpreter, version("ai-edge-litert")
    except PackageNotFoundError:
        return Interpreter, "of an unknown version"


def _loaded_from(name: str) -> str:
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return ""
    found = re.search(rf"(/\S*{name}\S*)$", maps, re.MULTILINE)
    return found[1] if found else ""


def main(runtime: Runtime) -> None:
    """Take the steps of ``runtime``; ends this process at once, whatever they left in it."""
    take = {"litert": litert, "edgetpu": edgetpu, "nvidia": nvidia}[runtime]()
    for step in STEPS[runtime]:
        told = _take(step, take)
        if told is None:
            break
        os.write(1, records.to_json(told) + b"\n")
        if told.error is not None:
            break
    os._exit(0)


def _take(step: str, steps: Iterator[str]) -> Step | None:
    try:
        return Step(step=step, value=next(steps))
    except StopIteration:
        return None
    except (ImportError, OSError, AttributeError, ValueError, RuntimeError, _Wrong) as e:
        words = " ".join(str(e).split()) or type(e).__name__
        return Step(step=step, error=words[:1000])


if __name__ == "__main__":
    main(cast("Runtime", sys.argv[1]))

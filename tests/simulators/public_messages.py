"""The messages that public clients of serving hold, by their full names: generated code, not ours.

TensorFlow Serving's import the package ``tensorflow``, of which they need the messages alone: it is
not loaded into a test's own process, where its C++ would end others'.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_SERVING = (
    *("predict", "classification", "regression", "inference", "get_model_metadata"),
    *("get_model_status", "prediction_service", "model_service"),
)


@cache
def tensorflow_serving() -> dict[str, Any]:
    """Return the classes of tensorflow-serving-api, and its two modules of stubs."""
    found = find_spec("tensorflow")
    if found is None or find_spec("tensorflow_serving") is None:
        pytest.skip("no tensorflow-serving-api here")
    assert found.origin is not None
    with _messages_alone(Path(found.origin).parent):
        modules = {
            name: importlib.import_module(f"tensorflow_serving.apis.{name}_pb2")
            for name in _SERVING
        }
        for name in ("prediction_service", "model_service"):
            modules[f"{name}_grpc"] = importlib.import_module(
                f"tensorflow_serving.apis.{name}_pb2_grpc"
            )
    return modules


@contextmanager
def _messages_alone(folder: Path) -> Iterator[None]:
    """Let ``tensorflow`` be a folder of messages, and nothing that is run."""
    names = ("", ".core", ".core.framework", ".core.protobuf", ".core.example", ".tsl")
    for name in names:
        hollow = ModuleType(f"tensorflow{name}")
        hollow.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[hollow.__name__] = hollow
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "tensorflow"]:
            del sys.modules[name]


def triton() -> Any:
    """Return the module of tritonclient's messages."""
    return pytest.importorskip("tritonclient.grpc.service_pb2")


def message_class(name: str) -> Any:
    """Return the class of the message ``name``, which was loaded before."""
    from google.protobuf import descriptor_pool, message_factory

    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))

"""One signature that names the input and the output of a .tflite, whatever it had before."""

from typing import Any, Final

from littoral_converter.importers import program

NAME: Final = "serving_default"


def give(model: bytes, *, source: str, answer: str) -> bytes:
    """Return ``model`` with one signature, in which its input and output have these names."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils as files

    made = files.read_model_from_bytearray(bytearray(model))
    (graph,) = made.subgraphs[:1]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = NAME.encode(), 0
    signature.inputs = [_named(schema, source, graph.inputs[0])]
    signature.outputs = [_named(schema, answer, graph.outputs[0])]
    made.signatureDefs = [signature]
    return bytes(files.convert_object_to_bytearray(made))


def declared(model: bytes) -> program.Open:
    """Return the shape of one sample that ``model`` takes; None is open."""
    from ai_edge_litert import schema_py_generated as schema

    found = schema.Model.GetRootAs(model, 0).Subgraphs(0)
    tensor = found.Tensors(found.Inputs(0))
    sizes = [tensor.Shape(k) for k in range(tensor.ShapeLength())]
    open_ = [tensor.ShapeSignature(k) for k in range(tensor.ShapeSignatureLength())]
    return tuple(None if n < 0 else n for n in (open_ or sizes)[1:])


def _named(schema: Any, name: str, index: int) -> Any:  # noqa: ANN401
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), int(index)
    return made

"""What the Open Inference Protocol calls the types of elements, by NumPy's names."""

from typing import Final

DATATYPES: Final = {
    "bool": "BOOL",
    "int8": "INT8",
    "uint8": "UINT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
}

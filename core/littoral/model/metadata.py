"""TFLite Metadata: what a model's own file says its classes are called. Nothing else of it is read.

A small FlatBuffer (M001) in a buffer of the model says which file names the classes of an output;
that file lies in a ZIP archive behind the model. Whoever has neither, or a damaged one, names none.
"""

import io
import zlib
from collections.abc import Iterator
from typing import Final

from littoral.errors import MalformedError
from littoral.model.flatbuffer import DAMAGED, Table
from littoral.model.tasks import labels
from littoral.model.tasks.labels import NONE, Labels

_NAME: Final = b"TFLITE_METADATA"
# Fields of TFLite's Model, Metadata and Buffer, by their place in the schema;
_BUFFERS, _METADATA, _CALLED, _WHICH, _DATA = 4, 6, 0, 1, 0
# of ModelMetadata, SubGraphMetadata, TensorMetadata and AssociatedFile.
_GRAPHS, _OUTPUTS, _FILES, _FILE, _TYPE = 3, 3, 6, 0, 2
_NAMES_CLASSES: Final = (2, 3)  # by their place in the output; by its values, as detections' are
_NO_ARCHIVE: Final = (OSError, ValueError, LookupError, RuntimeError, EOFError, zlib.error)


def labels_of(model: bytes) -> Labels:
    """Return what ``model``, a .tflite file, says its classes are called; NONE if nothing."""
    if _NAME not in model:
        return NONE
    import zipfile  # most models bring no archive

    try:
        named = [name for graph in _graphs(model) for name in _names(graph)]
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            there = archive.namelist()
            for name in named:
                if name in there:
                    with archive.open(name) as file:
                        return labels.read(file.read(labels.MAX_BYTES + 1))
    except (*DAMAGED, *_NO_ARCHIVE, zipfile.BadZipFile, MalformedError):
        pass
    return NONE


def _graphs(model: bytes) -> Iterator[Table]:
    root = Table.root(model)
    for one in root.tables(_METADATA):
        if one.blob(_CALLED) == _NAME:
            held = list(root.tables(_BUFFERS))[one.number(_WHICH, "<I")]
            yield from Table.root(held.blob(_DATA)).tables(_GRAPHS)


def _names(graph: Table) -> Iterator[str]:
    """Yield the names of the files that name classes of an output."""
    for output in graph.tables(_OUTPUTS):
        for file in output.tables(_FILES):
            if file.number(_TYPE, "<b") in _NAMES_CLASSES:
                yield file.blob(_FILE).decode()

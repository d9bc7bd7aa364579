"""TFLite Metadata: what a model's own file says its classes are called. Nothing else of it is read.

A small FlatBuffer (M001) in a buffer of the model says which file names the classes of an output;
that file lies in a ZIP archive behind the model. Whoever has neither, or a damaged one, names none.
"""

import io
import zlib
from collections.abc import Iterator
from itertools import islice
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
# Of anything that a file says it has many of: the same one can be named again and again.
_MOST: Final = 64
# Of an archive: a file that is longer may list so many names in it that memory ends.
_MOST_BYTES: Final = 8 * 2**20
_NO_ARCHIVE: Final = (OSError, ValueError, LookupError, RuntimeError, EOFError, zlib.error)


def labels_of(model: bytes) -> Labels:
    """Return what ``model``, a .tflite file, says its classes are called; NONE if nothing."""
    if _NAME not in model:
        return NONE
    import zipfile  # most models bring no archive

    try:
        with zipfile.ZipFile(io.BytesIO(model[-_MOST_BYTES:])) as archive:
            there = {one.filename: one for one in archive.infolist()}
            named = (name for graph in _graphs(model) for name in _names(graph))
            one = next((there[name] for name in islice(named, _MOST) if name in there), None)
            # Of what is packed in another way, a few bytes become as many as they please.
            if one and one.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                with archive.open(one) as file:
                    return labels.read(file.read(labels.MAX_BYTES + 1))
    except (*DAMAGED, *_NO_ARCHIVE, zipfile.BadZipFile, MalformedError):
        pass
    return NONE


def _graphs(model: bytes) -> Iterator[Table]:
    root = Table.root(model)
    for one in islice(root.tables(_METADATA), _MOST):
        if one.says(_CALLED, _NAME):
            held = root.table(_BUFFERS, one.number(_WHICH, "<I"))
            yield from islice(Table.root(held.blob(_DATA)).tables(_GRAPHS), _MOST)
            return


def _names(graph: Table) -> Iterator[str]:
    """Yield the names of the files that name classes of an output."""
    for output in islice(graph.tables(_OUTPUTS), _MOST):
        for file in islice(output.tables(_FILES), _MOST):
            if file.number(_TYPE, "<b") in _NAMES_CLASSES:
                yield file.blob(_FILE).decode()

"""The golden vectors of a release, verified like all its files."""

from littoral.bundle.manifest import Manifest
from littoral.model.selftest import Sample, unpack
from littoral.tree import Tree
from littoral_serve import release


def read(tree: Tree, manifest: Manifest) -> tuple[list[Sample], list[Sample]]:
    """Return the golden inputs and outputs. Raises as ``release.read_file``, and MalformedError."""
    test = manifest.selftest
    inputs = release.read_file(tree, manifest, test.inputs)
    outputs = release.read_file(tree, manifest, test.outputs)
    return (
        unpack(inputs, manifest.inputs, count=test.count),
        unpack(outputs, manifest.outputs, count=test.count),
    )

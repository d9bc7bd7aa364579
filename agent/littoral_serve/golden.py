"""The golden vectors of a release, verified like all its files."""

from collections.abc import Callable

from littoral.bundle.manifest import Manifest
from littoral.model.selftest import Sample, unpack


def read(manifest: Manifest, file: Callable[[str], bytes]) -> tuple[list[Sample], list[Sample]]:
    """Return the golden inputs and outputs; ``file`` returns a file's bytes by its name.

    Raises:
        MalformedError: They are not as many as the manifest says.

    """
    test = manifest.selftest
    inputs, outputs = file(test.inputs), file(test.outputs)
    return (
        unpack(inputs, manifest.inputs, count=test.count),
        unpack(outputs, manifest.outputs, count=test.count),
    )

"""The golden vectors of a release, verified like all its files."""

from collections.abc import Callable

from littoral.bundle.manifest import Manifest, Variant
from littoral.model.selftest import Sample, unpack


def read(
    manifest: Manifest, variant: Variant, file: Callable[[str], bytes]
) -> tuple[list[Sample], list[Sample]]:
    """Return the golden inputs and outputs of ``variant``; ``file`` returns a file by its name.

    Raises:
        MalformedError: They are not as many as the manifest says.

    """
    test = manifest.selftest_for(variant)
    inputs, outputs = file(test.inputs), file(test.outputs)
    return (
        unpack(inputs, manifest.inputs, count=test.count),
        unpack(outputs, manifest.outputs, count=test.count),
    )

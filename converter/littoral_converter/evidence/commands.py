"""``littoral sign`` and ``littoral compare``: who vouches for a bundle, how two models differ."""

import sys
from pathlib import Path
from typing import Any

import click

from littoral.commands.output import JSON, emit
from littoral_converter.terminal import progress, stoppable

_PATH: Any = click.Path(path_type=Path)


@click.command(
    epilog="Example: littoral sign digits-1 --key usb/models.pem; who got the bundle verifies with "
    "model_signing verify key digits-1 --signature digits-1/model.sig --public_key models.pub"
)
@click.argument("bundle", type=_PATH)
@click.option("--key", type=_PATH, required=True, help="A P-256 key, as littoral keys makes it.")
@click.option(
    "--certificate", type=_PATH, help="Its certificate and those above it, PEM, for verifiers."
)
@JSON
def sign(*, bundle: Path, key: Path, certificate: Path | None, as_json: bool) -> None:
    """Sign the files of BUNDLE for people outside the fleet: OpenSSF's model signature.

    Devices believe the repository's metadata and not this. It is made before the release is
    published, for the manifest names it.
    """
    from littoral_converter.evidence import signing

    done = signing.sign(bundle, key, certificate=certificate)
    text = (
        f"{done.model}:{done.release}: {done.files} files are signed by {done.keyid}\n"
        f"signature: {bundle / done.signature}"
    )
    emit(done, as_json=as_json, text=text)


@click.command(
    epilog="Example: littoral compare float.tflite digits-1 --data test.npz; for programs: --json"
)
@click.argument("a", type=_PATH)
@click.argument("b", type=_PATH)
@click.option("--data", "samples", type=_PATH, required=True, help="What both are asked.")
@JSON
def compare(*, a: Path, b: Path, samples: Path, as_json: bool) -> None:
    """Ask the models A and B the same, and show how B's answers differ from A's.

    Either is a .tflite, a bundle, or any model that convert reads. Accuracy, precision, recall and
    F1 need y in DATA.
    """
    from littoral_converter.evidence import comparing, contrast

    with stoppable(), progress(shown=not as_json and sys.stderr.isatty()) as say:
        found = comparing.compare(a, b, samples, say=say)
    emit(found, as_json=as_json, text=contrast.draw(found))

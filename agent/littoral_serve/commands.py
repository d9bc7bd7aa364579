"""``littoral serve``: the command line of the data plane."""

from pathlib import Path

import click

from littoral.tree import VARIABLE
from littoral_serve import app


@click.command(
    epilog="Example: littoral serve --model digits=digits.tflite --http 127.0.0.1:8501",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=VARIABLE,
    help="The device's folder: what its journals call good is served.  [/var/lib/littoral]",
)
@click.option(
    "--http",
    metavar="HOST:PORT",
    help="Where clients are answered; port 0: any free.  [127.0.0.1:8501]",
)
@click.option(
    "--grpc",
    metavar="HOST:PORT",
    help="Where gRPC is answered, too; or the path of a Unix socket. Port 0: any free.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=PATH[,labels=FILE]",
    help="Serve a .tflite or .onnx file, or a bundle's folder, as it is; once for each model. "
    "FILE names a file's classes: text, one a line.",
)
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="serve.toml; default: the one in --data, if there is one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready.")
def serve(  # noqa: PLR0917 (click passes by name)
    data: Path | None,
    http: str | None,
    grpc: str | None,
    models: tuple[str, ...],
    settings: Path | None,
    as_json: bool,
) -> int:
    """Serve models, as TensorFlow Serving does and as Triton does, over HTTP and over gRPC."""
    return app.main(
        app.Options(data=data, http=http, grpc=grpc, settings=settings, models=models, json=as_json)
    )

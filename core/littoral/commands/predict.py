"""``littoral predict``: asks a model about a picture or numbers, in this process."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from littoral import durable
from littoral.bundle.manifest import Task
from littoral.commands import predicted
from littoral.commands.kinds import Finite
from littoral.commands.output import JSON, emit
from littoral.commands.predicted import Made
from littoral.errors import MalformedError, MisuseError, StorageError
from littoral.tree import DATA, VARIABLE

if TYPE_CHECKING:
    from PIL.Image import Image

    from littoral.model.opening import Opened
    from littoral.model.tasks.labels import Labels
    from littoral.model.tasks.reading import Reading

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for beside the answer: how much of it, and where it is drawn."""

    top: int | None
    threshold: float
    draw: Path | None
    ends: tuple[float, float] | None


@click.command(
    epilog="Example: littoral predict birds.tflite parrot.jpg --labels birds.txt --draw seen.png"
)
@click.argument("model", metavar="MODEL")
@click.argument("source", metavar="INPUT", type=_PATH)
@click.option("--draw", metavar="OUT.png", type=_PATH, help="Draw the answer into the picture.")
@click.option("--top", type=click.IntRange(1, 1000), help="So many classes, or objects.  [5, 100]")
@click.option(
    "--threshold",
    type=Finite(0, 1),
    default=0.3,
    show_default=True,
    help="Objects, and of several people those, with a lower score are left out.",
)
@click.option(
    "--labels",
    type=_PATH,
    help="The names of the classes: text, one a line. Default: what MODEL brings, or INPUT.",
)
@click.option(
    "--task", type=click.Choice(get_args(Task)), help="What kind of answer the model gives."
)
@click.option(
    "--range",
    "ends",
    type=Finite(),
    nargs=2,
    metavar="LOW HIGH",
    help="What black and white become, where no manifest says it.",
)
@click.option("--variant", metavar="ID", help="Of a bundle; else the first that runs here.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=VARIABLE,
    default=DATA,
    help="The device's folder, for MODELs that are installed.  [/var/lib/littoral]",
)
@click.option(
    "--summary",
    is_flag=True,
    help="Print only how many samples there were, what each took, and how many answers are right.",
)
@JSON
def predict(  # noqa: PLR0917 (click's)
    model: str,
    source: Path,
    draw: Path | None,
    top: int | None,
    threshold: float,
    labels: Path | None,
    task: Task | None,
    ends: tuple[float, float] | None,
    variant: str | None,
    threads: int,
    data: Path,
    *,
    summary: bool,
    as_json: bool,
) -> None:
    """Ask MODEL about INPUT: a picture, or numbers as .npy, .npz or .json.

    MODEL is a .tflite or .onnx file, a bundle's folder, or the name of a model that is installed
    here. The answer is what its task says: classes, objects, a mask, joints, or numbers.
    """
    from littoral.model.opening import open_model

    if ends is not None and ends[0] == ends[1]:
        raise MisuseError("--range: expected two different numbers")
    if not source.is_file():
        what = "expected a file" if source.exists() else "there is no such file"
        raise MisuseError(f"no input {source}: {what}")
    if draw is not None and draw.exists() and draw.samefile(source):
        raise MisuseError("--draw: expected another file than INPUT, which would be lost")
    opened = open_model(model, data=data, variant=variant, threads=threads)
    how = _reading(opened, task, _labels(opened, labels, source))
    wanted = Wanted(top=top, threshold=threshold, draw=draw, ends=ends)
    made = _ask(opened, how, source, wanted)
    document = predicted.document(opened, made, how, source=source, answers=not summary)
    told = predicted.summary(made) if summary else predicted.text(made, how)
    emit(document, as_json=as_json, text=told)


def _labels(opened: "Opened", file: Path | None, source: Path) -> "Labels":
    """Return what classes are called: as somebody says, else the model, else the samples."""
    from littoral.model import instances
    from littoral.model.tasks import labels

    if file is not None:
        return labels.of_file(file)
    return opened.labels or instances.names(source, opened.inputs)


def _reading(opened: "Opened", task: Task | None, known: "Labels") -> "Reading":
    from littoral.model.tasks import labels, pictures, reading

    try:
        side = pictures.entry(opened.inputs).side
    except MalformedError:  # numbers go in, and no anchors are asked for
        side = (1, 1)
    chosen = task or opened.task or reading.told(opened.outputs, known, side)
    how = reading.Reading(task=chosen, outputs=opened.outputs, labels=known, side=side)
    reading.check(how)
    classes = how.outputs[0].shape[-1] if chosen == "classification" else 0
    if known and classes and (doubt := labels.doubt(known, classes)):
        click.echo(f"warning: {doubt}", err=True)
    return how


def _ask(opened: "Opened", how: "Reading", source: Path, wanted: Wanted) -> Made:
    from littoral.model import instances
    from littoral.model.tasks import reading

    if source.suffix not in instances.SUFFIXES:
        return _ask_picture(opened, how, source, wanted)
    if wanted.draw is not None:
        raise MisuseError("--draw: there is no picture to draw into, INPUT is numbers")
    given = instances.read(source, opened.inputs)
    true = instances.true(source, opened.inputs, count=len(given))
    made = Made([], [])
    for one in given:
        outputs, ns = _run(opened, one)
        made.answers.append(reading.read(how, outputs, most=wanted.top, least=wanted.threshold))
        made.took_ns.append(ns)
    if true is None or how.task != "classification":
        return made
    most = how.outputs[0].shape[-1] - 1
    if odd := [k for k in true if not 0 <= k <= most]:
        raise MalformedError(f"{source}: y: expected classes from 0 to {most}, found {odd[0]}")
    return replace(made, true=true)


def _ask_picture(opened: "Opened", how: "Reading", source: Path, wanted: Wanted) -> Made:
    from littoral.model import images
    from littoral.model.tasks import drawing, pictures, reading

    into = pictures.entry(opened.inputs, ends=wanted.ends)
    if wanted.ends is None and (doubt := pictures.doubt(opened.inputs, how.task)):
        click.echo(f"warning: {doubt}", err=True)
    try:
        data = source.read_bytes()
        entered = pictures.enter(data, into)
    except OSError as e:
        raise StorageError(f"{source}: {e.strerror or e}") from e
    except MalformedError as e:
        raise MalformedError(f"{source}: {e}") from e
    outputs, ns = _run(opened, (entered.real,))
    answer = reading.read(
        how, outputs, place=entered.place, most=wanted.top, least=wanted.threshold
    )
    picture = images.decode(data)
    if wanted.draw is not None:
        _save(drawing.draw(picture, answer), wanted.draw)
    return Made([answer], [ns], picture.size)


def _run(opened: "Opened", instance: Any) -> Any:  # noqa: ANN401 (arrays: numpy comes later)
    try:
        return opened.run(instance)
    except ValueError as e:
        raise MalformedError(f"{opened.model}: {e}") from e


def _save(picture: "Image", path: Path) -> None:
    drawn = io.BytesIO()
    drawn.name = str(path)  # by which the kind of picture is told
    try:
        picture.save(drawn)
    except (OSError, ValueError, KeyError) as e:
        raise MisuseError(
            f"--draw: expected a name that ends with .png or .jpg, found {path}"
        ) from e
    durable.replace(path, drawn.getvalue(), mode=0o644)

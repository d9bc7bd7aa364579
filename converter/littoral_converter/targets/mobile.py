"""In a child: the INT8 model as Android's and iOS's task libraries take it, with what they ask for.

Pixels go in as they are where the model's normalization allows it exactly, real numbers otherwise;
real numbers come out. How pixels become the model's numbers, and what its classes are called,
stands inside the file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral.bundle.manifest import Tensor
from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import ConversionError
from littoral.model.tasks.pictures import sees
from littoral_converter.targets import borders, tflite_metadata
from littoral_converter.targets.borders import Border, Pixels
from littoral_converter.targets.tflite_metadata import About, Model, Picture
from littoral_converter.worker import Progress, Say

LABELS: Final = "labels.txt"
_RANK: Final = 4
_CHANNELS: Final = {1: "GRAYSCALE", 3: "RGB"}
_EXACT: Final = 1e-4  # of a pixel: as near as float32 tells 127.5 from 127.50001
_PIXELS: Final = range(256)
UNTOLD: Final = (
    "target mobile: the model takes pictures, and phones must be told how a pixel becomes a "
    "number; say it in the recipe, for pixels of 0 to 1: [input.preprocessing] range = [0.0, 1.0]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    model: Path  # INT8 TFLite
    out: Path
    name: str
    label: str
    task: str
    input: Tensor
    output: Tensor
    preprocessing: Preprocessing | None
    labels: tuple[str, ...] | None
    description: str = ""
    author: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How it came out; ``takes`` is uint8 where pixels go in as they are."""

    takes: str
    picture: bool


def run(job: Job, *, say: Say) -> Made:
    """Write the model to ``out``.

    Raises:
        ConversionError: It takes pictures, and nobody said how a pixel becomes a number.

    """
    say(Progress(stage="writing TFLite Metadata"))
    picture = _picture(job)
    if picture is not None and job.preprocessing is None:
        raise ConversionError(UNTOLD)
    if job.preprocessing is not None and job.preprocessing.channels == "bgr":
        raise ConversionError(
            "target mobile: TFLite Metadata knows red, green, blue and no other order; turn the "
            "channels round in the model's first layer, or leave the target mobile out"
        )
    border = _border(job, picture)
    data = borders.replace(
        job.model.read_bytes(), source=border, metadata=tflite_metadata.encode(_about(job, picture))
    )
    files = {} if job.labels is None else {LABELS: "\n".join(job.labels).encode()}
    job.out.write_bytes(tflite_metadata.append(data, files))
    return Made(takes="float32" if border == "real" else "uint8", picture=picture is not None)


def check(shape: tuple[int, ...], preprocessing: Preprocessing | None, *, task: str | None) -> None:
    """Do nothing if phones can be told what a model of such samples takes.

    ``task`` is the recipe's; None: it is told later, by the output.

    Raises:
        ConversionError: They are pictures, and nobody said how a pixel becomes a number.

    """
    if preprocessing is None and pictures(shape, preprocessing, task=task):
        raise ConversionError(UNTOLD)


def pictures(
    shape: tuple[int, ...], preprocessing: Preprocessing | None, *, task: str | None
) -> bool:
    """Whether samples of ``shape`` are pictures: their channels come last.

    What a sound's spectrum may be as well is one where the recipe or the task says that it sees.
    """
    if len(shape) != _RANK - 1 or shape[-1] not in _CHANNELS:
        return False
    height, width, depth = shape
    return sees((height, width, depth), preprocessing, task=task)


def pixels(preprocessing: Preprocessing) -> Pixels | None:
    """Return what a pixel means as a stored byte, None where no scale and zero point say it."""
    means, stds = preprocessing.normalization
    if len(set(means)) > 1 or len(set(stds)) > 1:
        return None
    mean, std = means[0], stds[0]
    zero = round(mean)
    if abs(mean - zero) > _EXACT or zero not in _PIXELS or std <= 0:
        return None
    return Pixels(scale=1 / std, zero_point=zero)


def _border(job: Job, picture: Picture | None) -> Border:
    if picture is None or job.preprocessing is None or job.input.dtype == "float32":
        return "real"
    return pixels(job.preprocessing) or "real"


def _picture(job: Job) -> Picture | None:
    if not pictures(job.input.shape[1:], job.preprocessing, task=job.task):
        return None
    _, height, width, channels = job.input.shape
    return Picture(height=height, width=width, colours="GRAYSCALE" if channels == 1 else "RGB")


def _about(job: Job, picture: Picture | None) -> Model:
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    if job.preprocessing is not None:
        mean, std = job.preprocessing.normalization
    return Model(
        name=job.name,
        version=job.label,
        description=job.description,
        author=job.author,
        license=job.license,
        input=About(
            name=job.input.name,
            picture=picture,
            mean=mean,
            std=std,
            least=_ends(mean, std, 0),
            greatest=_ends(mean, std, 255),
        ),
        output=About(
            name=job.output.name,
            # Phones take these for a word about every axis, which classes alone have.
            labels=LABELS if job.labels and job.task == "classification" else None,
        ),
    )


def _ends(mean: tuple[float, ...], std: tuple[float, ...], pixel: int) -> tuple[float, ...]:
    return tuple((pixel - m) / s for m, s in zip(mean, std, strict=True))

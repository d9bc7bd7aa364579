"""In a child: a model whose LSTMs can each be one operator, made in tf-keras, to a program's files.

TensorFlow's converter knows an LSTM as such only where tf-keras wrote it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral.errors import ConversionError
from littoral_converter import check, legacy, tf_converter
from littoral_converter.importers import program, saving
from littoral_converter.worker import Progress, Say

OPERATOR: Final = "UNIDIRECTIONAL_SEQUENCE_LSTM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    folder: Path  # where FLOAT and SAVED go
    described: tuple[Path, ...]  # what legacy.leave left there
    fuse: program.Fuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    software: dict[str, str]


def job(folder: Path, fuse: program.Fuse) -> Job:
    described = (legacy.MODEL, legacy.WEIGHTS, legacy.PROBES)
    return Job(folder=folder, described=tuple(folder / n for n in described), fuse=fuse)


def run(job: Job, *, say: Say) -> Fused:
    """Leave FLOAT and SAVED.

    Raises:
        ConversionError: tf-keras lacks a layer, or answers otherwise; or loops remain.

    """
    say(Progress(stage="loading TensorFlow"))
    import tf_keras

    model = legacy.rebuild(job.folder, say=say)
    say(Progress(stage="exporting at batch 1"))
    saved = job.folder / program.SAVED
    saving.save(
        lambda x: model(x, training=False),
        job.fuse.shape,
        saved,
        tracked=model,
        source=job.fuse.source,
        answer=job.fuse.answer,
    )
    made = tf_converter.to_float(saved, say=say)
    counts = check.read(made).counts
    if "WHILE" in counts or OPERATOR not in counts:
        raise ConversionError("TensorFlow's converter made loops of the model's LSTMs")
    (job.folder / program.FLOAT).write_bytes(made)
    return Fused(software={"tf_keras": str(tf_keras.__version__)})

"""How one release sees pictures: what enters its input, and what its outputs answer.

What decodes pictures and reads answers is imported with the first picture: most models are sent
none. Knows no queue and no thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from littoral.errors import BackendError, MalformedError
from littoral.model.backends import Array
from littoral_serve.running.live import Live

if TYPE_CHECKING:
    from littoral.model.tasks.columns import Column
    from littoral.model.tasks.pictures import Entered, Entry
    from littoral.model.tasks.reading import Reading

_ELEMENT_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How much is wanted of an answer; None: as much as is usual."""

    most: int | None = None  # classes, or objects
    least: float | None = None  # score of an object, or of a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How one release sees pictures."""

    entry: "Entry"
    reading: "Reading"
    columns: "tuple[Column, ...]"
    offered: bool  # false: what it takes may be no picture, and who sends one knows why

    @property
    def nbytes(self) -> int:
        """Return how many one picture takes on its way to the model."""
        height, width = self.entry.side
        return height * width * self.entry.depth * _ELEMENT_BYTES

    def enter(self, file: bytes, *, most_pixels: int) -> "Entered":
        """Return the picture in ``file`` as the model takes it.

        Raises:
            MalformedError: It is none, of a kind that is not read, or too large.

        """
        from littoral.model.tasks import pictures

        return pictures.enter(file, self.entry, kinds=pictures.KINDS, most_pixels=most_pixels)

    def read(
        self, outputs: Sequence[Array], *, entered: "Sequence[Entered]", wish: Wish
    ) -> dict[str, Array]:
        """Return the answer's columns for ``entered``; ``outputs`` have a row for each of them.

        Raises:
            BackendError: They are none of the model's task.

        """
        from littoral.model.tasks import columns, reading

        least = reading.LEAST if wish.least is None else wish.least
        try:
            answers = [
                reading.read(
                    self.reading,
                    [output[k] for output in outputs],
                    place=one.place,
                    most=wish.most,
                    least=least,
                )
                for k, one in enumerate(entered)
            ]
        except MalformedError as e:  # the model's doing, not the client's
            raise BackendError(str(e)) from e
        return columns.columns(answers)


def sight_of(live: Live) -> Sight | str:
    """Return how ``live`` sees pictures, or why it takes none."""
    from littoral.model.tasks import columns, pictures, reading

    about = live.description
    try:
        entry = pictures.entry(about.inputs)
        if live.batch is None:
            return "its outputs do not share the input's batch"
        task = about.task or reading.told(about.outputs, about.labels, entry.side)
        how = reading.Reading(
            task=task, outputs=about.outputs, labels=about.labels, side=entry.side
        )
        reading.check(how)
    except MalformedError as e:
        return str(e)
    offered = pictures.doubt(about.inputs, task) is None
    return Sight(entry=entry, reading=how, columns=columns.told(how), offered=offered)

"""What every task needs to say of outputs that it cannot read."""

from collections.abc import Sequence

from littoral.errors import MalformedError

Shapes = Sequence[tuple[int, ...]]  # of outputs, without the batch


class UnreadableError(MalformedError):
    """These outputs are none that the task knows."""

    def __init__(self, task: str, expected: str, shapes: Shapes) -> None:
        found = ", ".join(str(list(shape)) for shape in shapes)
        super().__init__(f"{task}: expected {expected}, found {found}")

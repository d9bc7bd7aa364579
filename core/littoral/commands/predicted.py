"""What came of ``littoral predict``, for programs and for people. Runs nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from littoral.commands.output import table

if TYPE_CHECKING:  # a command imports what it needs when it runs
    from littoral.model.opening import Opened
    from littoral.model.tasks.answers import Answer
    from littoral.model.tasks.reading import Reading


@dataclass(frozen=True, slots=True)
class Made:
    """Answers, what each run took, and the picture's size if it was one.

    ``true``: the class that each is, where INPUT says it and the answers are classes.
    """

    answers: "list[Answer]"
    took_ns: list[int]
    size: tuple[int, int] | None = None
    true: list[int] | None = None


def document(
    opened: "Opened", made: Made, how: "Reading", *, source: Path, answers: bool = True
) -> dict[str, Any]:
    """Return all of it for programs: times in µs, and which part of the answers is right.

    ``answers``: False leaves out what is said of each sample.
    """
    from statistics import median

    rights = _rights(made)
    each = {"invoke_us": [round(ns / 1000, 1) for ns in made.took_ns], "answers": _each(made, how)}
    return {
        "model": opened.model,
        "release": opened.release,
        "variant": opened.variant,
        "task": how.task,
        "input": str(source),
        "picture": made.size and {"width": made.size[0], "height": made.size[1]},
        "samples": len(made.took_ns),
        "median_us": round(median(made.took_ns) / 1000, 1),
        **(each if answers else {}),
        "accuracy": sum(rights) / len(rights) if rights else None,
    }


def _each(made: Made, how: "Reading") -> list[dict[str, Any]]:
    from littoral.model.tasks import showing

    found = [showing.document(answer) for answer in made.answers]
    for answer, k in zip(found, made.true or (), strict=False):
        answer["true"] = {"index": k, "label": how.labels[k]}
    return found


def text(made: Made, how: "Reading") -> str:
    """Return a table for each answer, with whether it is right where somebody says what is.

    Of several samples each has its number, and the summary stands last.
    """
    from littoral.model.tasks import showing

    parts = [table(*showing.table(answer)) for answer in made.answers]
    rights = _rights(made)
    for at, (right, k) in enumerate(zip(rights, made.true or (), strict=True)):
        parts[at] += "\nright" if right else f"\nwrong: it is {how.labels[k]}"
    if (count := len(parts)) > 1:
        parts = [f"sample {k} of {count}\n{part}" for k, part in enumerate(parts, 1)]
    if count > 1 or rights:
        parts.append(summary(made))
    return "\n\n".join(parts)


def summary(made: Made) -> str:
    """Return how many samples there were, what each took, and how many answers are right."""
    from statistics import median

    count = len(made.took_ns)
    us = median(made.took_ns) / 1000
    told = (
        f"{count} samples, {us:,.1f} µs each (median)" if count > 1 else f"1 sample, {us:,.1f} µs"
    )
    if rights := _rights(made):
        told += f"\n{sum(rights)} of {len(rights)} are right: {sum(rights) / len(rights):.2%}"
    return told


def _rights(made: Made) -> list[bool]:
    """Return of each answer whether it is right; of none where nobody says what is."""
    from littoral.model.tasks.answers import Classification

    return [
        isinstance(answer, Classification) and answer.classes[0].index == k
        for answer, k in zip(made.answers, made.true or (), strict=False)
    ]

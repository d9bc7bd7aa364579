"""What is said of answers, where somebody knows what is true."""

from pathlib import Path

from littoral.bundle.manifest import Tensor
from littoral.commands import predicted
from littoral.commands.predicted import Made
from littoral.model.backends import open_session
from littoral.model.opening import Opened
from littoral.model.tasks.answers import Answer, Class, Classification
from littoral.model.tasks.labels import Labels
from littoral.model.tasks.reading import Reading
from simulators.served import model

SCORES = Tensor(name="scores", shape=(1, 2), dtype="float32")
HOW = Reading(task="classification", outputs=(SCORES,), labels=Labels(("no", "yes")), side=(1, 1))


def answers(*said: int) -> list[Answer]:
    return [Classification(classes=(Class(index=k, label=HOW.labels[k], score=0.5),)) for k in said]


def document(made: Made) -> dict[str, object]:
    session = open_session("reference", model("tiny_int8"))
    opened = Opened(session=session, model="m", inputs=session.inputs, outputs=session.outputs)
    return predicted.document(opened, made, HOW, source=Path("in.npz"))


SUMMARY = "3 samples, 1.0 µs each (median)\n1 of 3 are right: 33.33%"


def test_each_answer_is_judged_by_its_own_truth() -> None:
    made = Made(answers(1, 0, 1), [1000, 2500, 0], true=[1, 1, 0])
    first, second, third, last = predicted.text(made, HOW).split("\n\n")
    assert first.startswith("sample 1 of 3\n")
    assert third.startswith("sample 3 of 3\n")
    assert first.endswith("\nright")
    assert second.endswith("\nwrong: it is yes")
    assert third.endswith("\nwrong: it is no")
    assert last == predicted.summary(made) == SUMMARY
    told = document(made)
    assert told["accuracy"] == 1 / 3
    assert told["invoke_us"] == [1.0, 2.5, 0.0]
    assert [one["true"]["label"] for one in told["answers"]] == ["yes", "yes", "no"]  # type: ignore[attr-defined]


def test_where_nobody_says_what_is_true_nothing_is_judged() -> None:
    made = Made(answers(1), [1], size=(4, 3))
    assert "right" not in predicted.text(made, HOW)
    assert "sample" not in predicted.text(made, HOW)
    assert predicted.summary(made) == "1 sample, 0.0 µs"
    told = document(made)
    assert (told["accuracy"], told["picture"]) == (None, {"width": 4, "height": 3})
    assert "true" not in told["answers"][0]  # type: ignore[index]

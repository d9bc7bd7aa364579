"""Options that are numbers, and only numbers."""

import click
import pytest
from click.testing import CliRunner

from littoral.commands.kinds import Finite


@click.command()
@click.option("--rate", type=Finite(min=0))
def command(rate: float) -> None:
    click.echo(rate)


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "NaN", "-1", "many"])
def test_what_is_no_number_is_refused(word: str) -> None:
    done = CliRunner().invoke(command, [f"--rate={word}"])
    assert done.exit_code == 2
    assert "Invalid value for '--rate'" in done.output


def test_numbers_are_numbers() -> None:
    assert CliRunner().invoke(command, ["--rate", "2.5e3"]).output == "2500.0\n"


def test_help_names_the_bounds_that_there_are() -> None:
    @click.command()
    @click.option("--free", type=Finite())
    @click.option("--some", type=Finite(min=1))
    def other(free: float, some: float) -> None:
        raise NotImplementedError

    shown = CliRunner().invoke(other, ["--help"]).output
    assert "None" not in shown
    assert "x>=1" in shown

"""The one command, ``littoral``: finds the rooms' subcommands, turns errors into one line.

Each room registers its subcommands in the entry-point group ``littoral.commands``. One is
imported only when it is asked for, so that ``littoral agent`` never loads a converter, and
one whose packages are missing says what to install.
"""

import difflib
import io
import sys
from importlib.metadata import EntryPoint, distributions
from typing import Any, Final, NoReturn, cast

import click

from littoral import __version__
from littoral.commands.output import printable, short_help
from littoral.errors import LittoralError, MissingExtraError, MisuseError
from littoral.unforeseen import told

GROUP: Final = "littoral.commands"
_EXTRAS: Final = {
    "littoral_agent": "agent",
    "littoral_serve": "serve",
    "littoral_converter": "converter",
    "littoral_console": "console",
}
_ELSEWHERE: Final = {  # commands that this machine may do without, by the extra that brings them
    "convert": "converter",
    "compile": "converter",
    "inspect": "converter",
    "compare": "converter",
    "sign": "converter",
    "publish": "converter",
    "console": "console",
    "fleet": "console",
    "enroll": "agent",
    "install": "agent",
    "status": "agent",
    "doctor": "agent",
    "config": "agent",
    "agent": "agent",
    "run": "agent",
    "serve": "serve",
    "predict": "serve",
    "bench": "serve",
}
_BARE: Final = getattr(click.exceptions, "NoArgsIsHelpError", ())  # click 8.1 has none
_SECTIONS: Final = (
    ("Host", ("convert", "compile", "inspect", "compare", "sign", "keys", "repo", "publish")),
    ("Fleet", ("console", "fleet", "simulate")),
    ("Device", ("enroll", "run", "agent", "serve", "install", "status", "doctor", "config")),
    ("Models", ("bench", "predict", "trial", "capture")),
)


class Door(click.Group):
    """Lists what is registered, by room; loads one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_found())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        point = _found().get(cmd_name)
        if point is None:
            if ctx.resilient_parsing:  # a shell asks what could follow
                return None
            ctx.fail(f"no command {cmd_name!r}{_hint(cmd_name)}")
        try:
            return cast("click.Command", point.load())
        except ModuleNotFoundError as e:
            if ctx.resilient_parsing:
                return None
            _say_missing(cmd_name, e)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own)
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as e:  # rooms import what is heavy where they need it
            _say_missing(ctx.invoked_subcommand or "", e)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        rest = set(_found())
        for title, names in _SECTIONS:
            here = [name for name in names if name in rest]
            rest -= set(here)
            if here:
                with formatter.section(title):
                    formatter.write_dl([(name, _help(name)) for name in here])
        if rest:
            with formatter.section("More"):
                formatter.write_dl([(name, _help(name)) for name in sorted(rest)])


def _found() -> dict[str, EntryPoint]:
    # Each Debian package has a distribution of our name; entry_points() looks into the first alone.
    every = [point for held in distributions() for point in held.entry_points.select(group=GROUP)]
    first = {point.name: point for point in reversed(every)}
    return dict(sorted(first.items()))


def _hint(command: str) -> str:
    if command in _ELSEWHERE:
        return f" on this machine; it comes with littoral[{_ELSEWHERE[command]}]"
    near = difflib.get_close_matches(command, _found(), 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(_found())}"


def _say_missing(command: str, error: ModuleNotFoundError) -> NoReturn:
    point = _found().get(command)
    package = (error.name or "littoral").partition(".")[0]
    if point is None or package.startswith("littoral"):
        raise error
    extra = _ELSEWHERE.get(command) or _EXTRAS.get(point.module.partition(".")[0], "all")
    raise MissingExtraError(f"'littoral {command}'", extra=extra, missing=package) from error


def _help(name: str) -> str:
    try:
        command = cast("click.Command", _found()[name].load())
    except ImportError as e:
        return f"(not installed: needs {e.name})"
    return short_help(command)


@click.group(
    cls=Door,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each command has --help with an example, and --json for programs.",
)
@click.version_option(__version__, prog_name="littoral")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def littoral(*, debug: bool) -> None:
    """Compile, sign, ship, prove and run INT8 models on fleets of edge devices."""
    click.get_current_context().obj = {"debug": debug}


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0 for done, 1 for a failure that was reported, 2 for a misuse."""
    args = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of Latin-1 has no ellipsis
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result: Any = littoral.main(args=args, prog_name="littoral", standalone_mode=False)
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except _BARE as e:
        click.echo(e.format_message(), err=True)
        return MisuseError.exit_code
    except click.ClickException as e:
        where = "littoral"
        if isinstance(e, click.UsageError) and e.ctx:
            where = e.ctx.command_path
        elif args and args[0] in _found():  # an option without its value comes without its command
            where = f"littoral {args[0]}"
        words = " ".join(e.format_message().split()).rstrip(".")
        click.echo(f"error: {words}; see '{where} --help' [{MisuseError.code}]", err=True)
        return MisuseError.exit_code
    except Exception as e:
        if "--debug" in args:
            raise
        return _tell(told(e))
    return result if isinstance(result, int) else 0


def _tell(error: LittoralError) -> int:
    click.echo(printable(error.line), err=True)
    return error.exit_code

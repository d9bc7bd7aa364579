"""Writes the generated parts of docs/: settings, messages, commands.

    .venv/bin/python docs/make.py            writes them
    .venv/bin/python docs/make.py --check    says which differ from the code, and exits 1

A generated part stands between ``<!-- made: NAME -->`` and ``<!-- end -->``; all else in these
pages is written by hand. What is said of a field is the comment beside it in the code: there
is one place where it stands.
"""

import ast
import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, cast, get_args, get_origin

import click

from littoral.wire import blocks, board, enrolment, identity, messages, receipt, telemetry, update

HERE = Path(__file__).parent
UNITS = ((30, "GiB"), (20, "MiB"), (10, "KiB"))
PART = re.compile(r"(<!-- made: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings_of(module: str, name: str) -> str:
    """Return a table of every setting of a dataclass, nested ones as tables of TOML."""
    return "\n".join(_settings(getattr(importlib.import_module(module), name), ""))


def _settings(cls: type[Any], table: str) -> Iterator[str]:
    nested = []
    yield from ("| setting | kind | default | |", "|---|---|---|---|")
    for field in fields(cls):
        below = _record_of(cls, field.name)
        if below is not None:
            nested.append((field.name, *below))
        else:
            yield f"| `{field.name}` | {field.kind} | {field.default} | {field.words} |"
    for name, inner, many in nested:
        full = f"{table}.{name}" if table else name
        shown = f"[[{full}]]" if many else f"[{full}]"
        yield from ("", f"`{shown}` {_first_line(inner)}".rstrip(), "")
        yield from _settings(inner, full)


@dataclasses.dataclass(frozen=True)
class Field:
    name: str
    kind: str
    default: str
    words: str


def fields(cls: type[Any]) -> Iterator[Field]:
    """Walk the fields of ``cls`` as its source has them, each with the comment beside it."""
    module = inspect.getmodule(cls)
    source = inspect.getsource(cast("ModuleType", module)).splitlines()
    tree = ast.parse("\n".join(source))
    body = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield Field(
                name=node.target.id,
                kind=_kind(node.annotation),
                default=_default(cls, node.target.id),
                words=_comment(source, node),
            )


def _kind(annotation: ast.expr) -> str:
    words = ast.unparse(annotation).replace("Literal[", "one of [")
    words = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", words)
    words = re.sub(r"dict\[str, (.*)\]", r"table of \1", words)
    words = re.sub(r"\b(Hardware|Task)\b", lambda m: f"[{m[1].lower()}](words.md)", words)
    words = re.sub(r"one of \[(.*)\]", lambda m: m[1].replace("'", "`"), words)
    return re.sub(r"\bstr\b", "text", words.replace("|", "or"))


def _default(cls: type[Any], name: str) -> str:
    field = next(f for f in dataclasses.fields(cls) if f.name == name)
    if field.default is not dataclasses.MISSING:
        return "" if field.default is None else f"`{_toml(field.default)}`{_size(field.default)}"
    return "" if field.default_factory is not dataclasses.MISSING else "must be said"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _size(value: object) -> str:
    """Return how people say a number of bytes."""
    if not isinstance(value, int) or value < 1024 or value % 1024:
        return ""
    unit, name = next((2**n, m) for n, m in UNITS if value % 2**n == 0)
    return f" ({value // unit} {name})"


def _comment(source: list[str], node: ast.AnnAssign) -> str:
    last = source[(node.end_lineno or node.lineno) - 1]
    found = re.search(r"\s# (?!noqa)(.*)$", last[node.end_col_offset or 0 :])
    return found[1].replace("|", "\\|") if found else ""


def _record_of(cls: type[Any], name: str) -> tuple[type[Any], bool] | None:
    """Return the record that a setting is, and whether it is a list of such."""
    kind = inspect.get_annotations(cls, eval_str=True).get(name)
    many = get_origin(kind) is tuple
    if many:
        kind = get_args(kind)[0]
    if isinstance(kind, UnionType):  # a table that may be left out
        kind = next(part for part in get_args(kind) if part is not NoneType)
    return (kind, many) if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def _first_line(cls: type[Any]) -> str:
    words = (cls.__doc__ or "").strip().splitlines()
    return "" if not words or words[0].startswith(f"{cls.__name__}(") else words[0]


def records_of(module: ModuleType) -> str:
    """Return the module's own words, then a table for each record in it that others may name."""
    lines = [_markdown(inspect.getdoc(module) or "").partition("\n\n")[2]]
    for name, cls in vars(module).items():
        ours = dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__
        if ours and not name.startswith("_"):
            record = cast("type[Any]", cls)
            lines += ["", f"### {record.__name__}", "", _markdown(_docstring(record)), ""]
            lines += ["| field | kind | default | |", "|---|---|---|---|"]
            lines += [
                f"| `{f.name}` | {f.kind} | {f.default} | {f.words} |" for f in fields(record)
            ]
    return "\n".join(lines)


def _docstring(cls: type[Any]) -> str:
    words = inspect.getdoc(cls) or ""
    return "" if words.startswith(f"{cls.__name__}(") else words


def _markdown(words: str) -> str:
    return words.replace("``", "`")


def rules_of(module: str, letter: str) -> str:
    """Return the numbered rules in ``module``: docstrings and comments that start with (D1)."""
    source = inspect.getsource(importlib.import_module(module))
    found = re.findall(rf'(?:"""|# )\(({letter}\d+)\) (.+?)(?:"""|\n)', source)
    return "\n".join(f"- **{number}** {_markdown(words)}" for number, words in found)


def commands() -> str:
    """Return what each command does, with its arguments and options."""
    lines: list[str] = []
    for point in sorted(entry_points(group="littoral.commands"), key=lambda p: p.name):
        lines += _command(point.load(), f"littoral {point.name}")
    return "\n".join(lines).strip()


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    usage = (
        " ".join([path, *command.collect_usage_pieces(context)]).replace("[OPTIONS]", "").split()
    )
    yield from ("", f"### `{' '.join(usage)}`", "")
    yield _markdown(inspect.cleandoc(command.help or "").partition("\f")[0])
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        yield ""
        for option in options:
            yield f"- `{_option(option)}` {_words(option)}".rstrip()
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _command(command.commands[name], f"{path} {name}")


def _option(option: click.Option) -> str:
    name = max(option.opts, key=len)
    return (
        name
        if option.is_flag
        else f"{name} {option.make_metavar(click.Context(click.Command('x')))}"
    )


def _words(option: click.Option) -> str:
    default = option.default
    shown = isinstance(default, str | int | float) and not option.is_flag and default != ""
    return (option.help or "") + (f" Default: `{default}`." if shown else "")


def checks() -> str:
    """Return what ``littoral doctor`` looks at."""
    table = importlib.import_module("littoral_agent.doctor.checks").CHECKS
    lines = ["| check | group | looks at | waits at most |", "|---|---|---|---|"]
    lines += [
        f"| `{one.name}` | {one.group} | {one.words} | {one.within_s:.0f} s |" for one in table
    ]
    return "\n".join(lines)


def attacks(name: str) -> str:
    """Return what each test of ``tests/isolation/<name>.py`` tries, as its docstring says."""
    tree = ast.parse((HERE.parent / "tests" / "isolation" / f"{name}.py").read_text())
    lines = ["| attack | what is tried |", "|---|---|"]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:5] == "test_":
            said = " ".join((ast.get_docstring(node) or "").split())
            lines.append(f"| {node.name[5:].replace('_', ' ')} | {said} |")
    return "\n".join(lines)


def refusals() -> str:
    """Return which attack is refused by which reason code, and which cannot be."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    table = importlib.import_module("faults.attacks")
    heads = [f"{role}, {source}" for role in table.ROLES for source in table.SOURCES]
    lines = [f"| attack | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    notes: list[str] = []
    for attack in table.ATTACKS:
        cells = [cell for cell in table.CELLS if cell.attack == attack]
        shown = []
        for cell in sorted(cells, key=lambda c: heads.index(f"{c.role}, {c.source}")):
            why = table.NONE.get((cell.attack, cell.role, cell.source))
            if why is not None and why not in notes:
                notes.append(why)
            shown.append(f"`{cell.code}`" if why is None else f"none ({notes.index(why) + 1})")
        lines.append(f"| {attack} | {' | '.join(shown)} |")
    lines += ["", *(f"{i}. {why}." for i, why in enumerate(notes, 1))]
    lines += ["", f"| attack | {' | '.join(table.ROLES)} |", "|---|---|---|"]
    for attack, tries in table.ATTACKS.items():
        said = (inspect.getdoc(tries[role].do) if role in tries else "" for role in table.ROLES)
        lines.append(f"| {attack} | {' | '.join(words or '' for words in said)} |")
    return "\n".join(lines)


def networks() -> str:
    """Return which bad networks there are, and what each has to come to."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    table = importlib.import_module("faults.network_cells")
    lines = ["| trouble | what it is | begins | comes to | ways in |", "|---|---|---|---|---|"]
    for name, one in table.TROUBLES.items():
        begins = f"at {one.at:.0%}" if one.at else "before it is wanted"
        plain = one.comes_to in {table.ARRIVES, table.WAITS}
        said = one.comes_to if plain else f"`{one.comes_to}`"
        lines.append(f"| {name} | {one.words} | {begins} | {said} | {', '.join(one.ways)} |")
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "attacks": refusals,
    "attacks-broker": lambda: attacks("test_isolation"),
    "attacks-https": lambda: attacks("test_https"),
    "attacks-stolen": lambda: attacks("test_lives"),
    "agent-settings": lambda: settings_of("littoral_agent.settings", "Settings"),
    "serve-settings": lambda: settings_of("littoral_serve.settings", "Settings"),
    "recipe": lambda: settings_of("littoral_converter.recipe", "Recipe"),
    "messages": lambda: records_of(messages),
    "update": lambda: records_of(update),
    "blocks": lambda: records_of(blocks),
    "telemetry": lambda: records_of(telemetry),
    "board": lambda: records_of(board),
    "enrolment": lambda: records_of(enrolment),
    "identity": lambda: records_of(identity),
    "receipt": lambda: records_of(receipt),
    "commands": commands,
    "checks": checks,
    "networks": networks,
    "rules": lambda: rules_of("littoral.trust.rules", ""),
    "rules-of-the-director": lambda: rules_of("littoral.trust.director", "D"),
    "rules-of-both": lambda: rules_of("littoral.trust.director", "B"),
}


def made(text: str) -> str:
    """Return a page with its generated parts as they are now."""
    return PART.sub(lambda m: f"{m[1]}\n{PARTS[m[2]]().strip()}\n\n{m[3]}", text)


def main(args: list[str]) -> int:
    stale = []
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text()
        if (fresh := made(text)) != text:
            stale.append(page.name)
            if "--check" not in args:
                page.write_text(fresh)
    for name in stale:
        print(
            f"docs/{name} {'is not as the code is: make docs' if '--check' in args else 'written'}"
        )
    return 1 if stale and "--check" in args else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

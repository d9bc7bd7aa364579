"""docs/control.md is made from littoral.wire.control, by ``python`` and the name of this file."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from littoral.wire import control

PAGE = Path(__file__).parents[2] / "docs/control.md"
START = """# What the agent asks of serve

<!-- Made from core/littoral/wire/control.py by tests/serve/test_control_docs.py -->

HTTP/1.1 and JSON on `run/control.sock` in the device's folder, one record a request. The socket is
0660, and whoever connects must be root, or of the user or group that serve runs as. Local clients,
on TCP and on `serve.sock`, can load and unload nothing. A field that is not named here is refused.

"""


def page() -> str:
    source = inspect.getsource(control)
    tree = ast.parse(source)
    lines = source.splitlines()
    parts = [START + (ast.get_docstring(tree) or "").partition("\n\n")[2].rpartition(" docs/")[0]]
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    parts += ["\n".join(record(node, lines)) for node in classes]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def record(node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    yield f"## {node.name}\n"
    told = ast.get_docstring(node)
    if told:
        yield f"{told.replace('``', '`')}\n"
    yield "| field | kind | default | |\n|---|---|---|---|"
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            default = "" if field.value is None else f"`{ast.unparse(field.value)}`"
            _, _, comment = lines[field.lineno - 1].partition("  # ")
            kind = ast.unparse(field.annotation).replace("|", "or")
            yield f"| `{ast.unparse(field.target)}` | {kind} | {default} | {comment} |"


def test_the_page_says_what_the_module_says() -> None:
    assert PAGE.read_text() == page(), f"run: python {Path(__file__).name}"


def test_the_page_names_every_call_that_serve_answers() -> None:
    from littoral_serve import control as served

    text = PAGE.read_text()
    for call in ("try", "activate", "deactivate", "probe", "runtime", "state", "timings"):
        assert f"/control/{call}" in text
        assert f"/control/{call}" in inspect.getsource(served)


if __name__ == "__main__":
    PAGE.write_text(page())

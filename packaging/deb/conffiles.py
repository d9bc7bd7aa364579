"""/etc/littoral: each setting with its default, as a line to take the # from.

    PYTHONPATH=packaging .venv/bin/python -m deb.conffiles     writes packaging/files/agent/ anew

What is said of a setting is the comment beside it in the code, as docs/ has it.
"""

import importlib
import re
import sys
from typing import Any, Final

from deb.targets import PACKAGES, ROOT

_DEFAULT: Final = re.compile(r"`(.*?)`( \(.*\))?")
_HEAD: Final = """\
# What can be set of the {room}. Each line is a setting's default: take its # away and change it.
# Then: systemctl restart littoral-{room}
"""


def text(room: str, settings: type[Any]) -> str:
    """Return the file of ``settings``, a dataclass."""
    sys.path.insert(0, str(ROOT / "docs"))
    make = importlib.import_module("make")
    parts = [_HEAD.format(room=room)]
    for field in make.fields(settings):
        found = _DEFAULT.fullmatch(field.default)
        if found is None:
            raise ValueError(f"{room}.toml: {field.name} has no default")
        choices = "one of " + field.kind.replace("`", "") if "`, `" in field.kind else ""
        said = [field.words.replace("\\|", "|"), choices, (found[2] or "").strip(" ()")]
        words = "".join(f"# {line}\n" for line in said if line)
        parts.append(f"{words}#{field.name} = {found[1]}\n")
    return "\n".join(parts)


def every() -> dict[str, str]:
    """Return each file's text by its name."""
    from littoral_agent.settings import Settings as Agent
    from littoral_serve.settings import Settings as Serve

    return {"agent.toml": text("agent", Agent), "serve.toml": text("serve", Serve)}


def main() -> None:
    for name, words in every().items():
        (PACKAGES["agent"].files / name).write_text(words)


if __name__ == "__main__":
    main()

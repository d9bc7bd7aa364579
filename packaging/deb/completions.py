"""What lets a shell complete ``littoral``: click's own scripts, one for each shell.

PYTHONPATH=packaging .venv/bin/python -m deb.completions     writes packaging/files/completions/
"""

from collections.abc import Iterator
from typing import Final

from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from deb.contents import COMPLETIONS

SHELLS: Final[tuple[type[ShellComplete], ...]] = (BashComplete, ZshComplete, FishComplete)


def every() -> Iterator[tuple[str, str]]:
    """Walk each shell's name and its script."""
    from littoral.door import littoral

    for shell in SHELLS:
        made = shell(littoral, {}, "littoral", "_LITTORAL_COMPLETE")
        # Not the shell's own source(): that asks a bash of this machine for its version.
        yield shell.name, f"{ShellComplete.source(made).strip()}\n"


def main() -> None:
    for name, script in every():
        (COMPLETIONS / name).write_text(script)


if __name__ == "__main__":
    main()

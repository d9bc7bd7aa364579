"""``littoral fleet`` as a person types it."""

import json
from pathlib import Path
from typing import Any

from simulators.console import Done, littoral


class Shell:
    """A person with a login of their own."""

    def __init__(self, login: Path) -> None:
        self.login = login

    def __call__(self, *arguments: object, **more: str) -> Done:
        return littoral("fleet", *arguments, LITTORAL_FLEET=str(self.login), **more)

    def json(self, *arguments: object) -> Any:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

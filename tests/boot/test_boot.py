"""The story of real boots, in its short form: ``make test-boot`` tells the whole one.

A device's life from a bare Debian to the package's removal, with one kill of each and one cut of
the power. Bad networks, clocks and cards, sticks, windows, upgrades and the page that is typed as
it stands are the command's.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from boot import trees
from boot.ground import INSIDE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    kind = trees.Kind("amd64")
    try:
        trees.check(kind)
        trees.tree(kind)
    except trees.CannotError as e:
        pytest.skip(str(e))
    work = tmp_path_factory.mktemp("boot") / "work"
    environment = {name: value for name, value in os.environ.items() if name != INSIDE}
    with subprocess.Popen(
        [sys.executable, "-m", "boot", "--short", "--json", "--keep", work],
        stdout=subprocess.PIPE,
        text=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(_places())},
    ) as process:
        said, _ = process.communicate()
    found: dict[str, object] = json.loads(said)
    if "skipped" in found:
        pytest.skip(str(found["skipped"]))
    return found | {"process": process.pid}


def _places() -> list[str]:
    here = [str(trees.ROOT / name) for name in ("tests", "demo", "packaging")]
    return [*here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


def test_every_step_of_the_story_holds(told: dict[str, object]) -> None:
    steps = told["steps"]
    assert isinstance(steps, list)
    assert [step for step in steps if not step["ok"]] == []
    assert told["ok"] is True


def test_nothing_of_it_stays(told: dict[str, object]) -> None:
    mounts = Path("/proc/mounts").read_text()
    assert "littoral-boot" not in mounts
    assert list(Path("/sys/fs/cgroup").glob(f"**/littoral-boot-{told['process']}-*")) == []

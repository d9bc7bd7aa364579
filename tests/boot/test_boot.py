"""The story of real boots, in its short form: ``make test-boot`` tells the whole one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from boot import trees
from boot.ground import INSIDE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


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
        [sys.executable, "-m", "boot", "--cuts", "3", "--json", "--keep", work],
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

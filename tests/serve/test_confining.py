"""What a process gives up before it loads a model, as the kernel tells of it."""

import json
import os
import resource
import subprocess
import sys
from typing import Any

import pytest

from littoral_serve import confining
from patience import patient

CONFINED = """
import json, os, pathlib, resource, sys
from littoral_serve.confining import confine
confine(**json.loads(sys.argv[1]))
kinds = [name for name in dir(resource) if name.startswith("RLIMIT_")]
said = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "limits": {name: resource.getrlimit(getattr(resource, name)) for name in kinds},
    "privileges": int(said["NoNewPrivs"]),
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "oom": int(pathlib.Path("/proc/self/oom_score_adj").read_text()),
}))
"""
MEMORY = 2**32


def confined(parent: int | None = None, **said: Any) -> subprocess.CompletedProcess[str]:
    said = {"parent": parent or os.getpid(), "address_space_bytes": MEMORY, **said}
    return subprocess.run(
        [sys.executable, "-c", CONFINED, json.dumps(said)],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(30),
    )


def told(**said: Any) -> dict[str, Any]:
    done = confined(**said)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_writes_no_file_and_leaves_no_core_and_gains_no_privileges() -> None:
    found = told()
    assert found["privileges"] == 1
    assert found["oom"] == 1000
    limits = found["limits"]
    assert limits["RLIMIT_FSIZE"] == limits["RLIMIT_CORE"] == [0, 0]
    assert limits["RLIMIT_AS"] == [MEMORY, MEMORY]
    assert limits["RLIMIT_NOFILE"] == [64, 64]
    assert limits["RLIMIT_CPU"] == list(resource.getrlimit(resource.RLIMIT_CPU))


def test_it_hears_of_the_end_of_its_time_before_it_is_killed() -> None:
    soft, hard = told(cpu_s=7)["limits"]["RLIMIT_CPU"]
    assert (soft, hard) == (7, 12)


def test_a_gpu_s_driver_gets_what_it_needs() -> None:
    limits = told(gpu=True)["limits"]
    assert limits["RLIMIT_AS"] == list(resource.getrlimit(resource.RLIMIT_AS))
    assert limits["RLIMIT_NOFILE"] == [1024, 1024]
    assert limits["RLIMIT_FSIZE"] == [4 * 2**30] * 2
    assert limits["RLIMIT_CORE"] == [0, 0]


def test_it_is_as_nice_as_it_is_told_and_never_less_than_it_was() -> None:
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert told(nice=19)["nice"] == 19
    assert told(nice=0)["nice"] == max(mine, 0)


def test_it_ends_at_once_where_its_parent_is_gone_already() -> None:
    done = confined(parent=1 if os.getpid() != 1 else 2)
    assert (done.returncode, done.stdout) == (os.EX_UNAVAILABLE, "")


def test_of_our_environment_it_has_only_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "PYTHONPATH": "/p", "TOKEN": "secret"})
    assert confining.environment() == {
        "PATH": "/bin",
        "PYTHONPATH": "/p",
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }

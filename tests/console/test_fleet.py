"""``littoral fleet`` from a shell, against a running console."""

import json
import os
import random
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from console.shell import Shell
from littoral.wire.enrolment import Token
from littoral_converter.encoding import Encoder
from patience import patient
from simulators.console import (
    PASSWORD,
    ConsoleProcess,
    DeviceSimulator,
    EnrolmentRefusedError,
)
from simulators.repository import RepositorySimulator


def test_a_login_is_nobody_elses_to_read(shell: Shell) -> None:
    assert shell.login.stat().st_mode & 0o077 == 0


def test_the_first_login_from_what_the_console_printed(tmp_path: Path) -> None:
    console = ConsoleProcess(
        tmp_path, RepositorySimulator(tmp_path), arguments=("--broker", "none")
    )
    console._token = "none yet"
    with console:
        shell = Shell(tmp_path / "fleet.json")
        done = shell("login", console.ready["setup"], LITTORAL_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
        assert shell.json("status")["devices"] == 0
        done = shell("login", console.ready["setup"], LITTORAL_PASSWORD=PASSWORD)
        assert (done.returncode, done.stderr.endswith("[denied]\n")) == (1, True)
        done = shell("tokens", "new")
        assert done.returncode == 2
        assert "fleet releases upload" in done.stderr


def test_a_wrong_password_a_wrong_token_and_no_console_are_one_line_each(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    stranger = Shell(tmp_path / "other.json")
    done = stranger("devices")
    assert done.returncode == 2
    assert "not logged in" in done.stderr
    done = stranger("login", console.ready["http"], LITTORAL_PASSWORD="wrong one")
    assert (done.returncode, done.stderr.endswith("[denied]\n")) == (1, True)
    kept = json.loads(shell.login.read_text())
    stranger.login.write_text(json.dumps({**kept, "token": "litp_stale"}))
    done = stranger("devices")
    assert (done.returncode, done.stderr.endswith("[denied]\n")) == (1, True)
    stranger.login.write_text(json.dumps({**kept, "url": "http://127.0.0.1:9"}))
    done = stranger("devices")
    assert (done.returncode, done.stderr.endswith("[unreachable]\n")) == (1, True)
    assert done.stderr.count("\n") == 1


def test_from_a_token_to_a_proven_release(console: ConsoleProcess, shell: Shell) -> None:
    word = shell("tokens", "new", "--label", "site=kiel").stdout.strip()
    assert Token.decode(word).fleet == "shore"
    device = DeviceSimulator(console, "cli-1", token=word)
    assert [d["id"] for d in shell.json("devices", "--to", "site=kiel")["devices"]] == ["cli-1"]
    shell("push", "digits:1", "--to", "cli-1")
    came = device.report("fetched", release=1, figures={"bytes": 95_627.0, "files_patch": 2.0})
    device.post(came, device.report("healthy", release=1, good=1), status=device.status())
    number = shell.json("rollouts")["rollouts"][0]["id"]
    detail = shell.json("rollouts", str(number))
    assert detail["devices"][0]["outcome"] == "healthy"
    assert shell.json("history", "--device", "cli-1")["history"][0]["event"] == "healthy"
    assert "by patch 2" in shell("history", "--device", "cli-1").stdout
    assert shell.json("tokens", "list")["tokens"][0]["used_by"] == "cli-1"
    assert shell.json("audit")["broken"] is None
    done = shell("devices")
    assert "cli-1" in done.stdout
    assert "digits:1 healthy" in done.stdout


def test_a_token_for_an_image_is_a_file_that_says_all(
    console: ConsoleProcess, shell: Shell
) -> None:
    words = ("--device", "pier-9", "--serial", "b-9", "--approve", "--credential")
    made = shell("tokens", "new", *words)
    assert "is for this machine alone" in made.stderr
    found = tomllib.loads(made.stdout)
    assert found["url"] == console.ready["devices"]
    assert found["name"] == "pier-9"
    assert Token.decode(found["token"]).fleet == "shore"
    assert tomllib.loads(shell.json("tokens", "new", "--credential")["credential"]).keys() == {
        "url",
        "token",
    }
    token = shell.json("tokens", "list")["tokens"][1]
    listed = shell("tokens", "list").stdout
    assert "pier-9, on the board b-9, if approved" in listed
    assert "open for 24.0 h" in listed
    assert shell("tokens", "revoke", str(token["id"])).stdout == f"token {token['id']}: over\n"
    assert "no enrolment token 9999" in shell("tokens", "revoke", "9999").stderr


def test_an_operator_sees_who_waits_and_decides(console: ConsoleProcess, shell: Shell) -> None:
    token = shell("tokens", "new", "--approve").stdout.strip()
    with pytest.raises(EnrolmentRefusedError, match="202"):
        DeviceSimulator(console, "cli-waits", token=token)
    (claim,) = (c for c in shell.json("claims")["claims"] if c["device"] == "cli-waits")
    listed = shell("claims").stdout
    assert claim["fingerprint"] in listed
    assert "cli-waits" in listed
    done = shell("claims", "approve", str(claim["id"]))
    assert done.stdout == f"claim {claim['id']}: cli-waits is approved\n"
    DeviceSimulator(console, "cli-waits", token=token)
    late = shell("claims", "refuse", str(claim["id"]))
    assert (late.returncode, late.stderr.split()[-1]) == (2, "[usage]")
    assert claim["id"] in {c["id"] for c in shell.json("claims", "--state", "enrolled")["claims"]}
    assert "used" in shell("tokens", "list").stdout
    for every in (shell("claims", "--state", "all"), shell("claims", "list", "--state", "all")):
        (line,) = (line for line in every.stdout.splitlines() if "cli-waits" in line)
        assert "comes back" not in line, "it is there because of this claim"


def test_a_claim_is_decided_by_the_name_that_one_board_asks_for(
    console: ConsoleProcess, shell: Shell
) -> None:
    def ask(serial: str) -> int:
        token = shell("tokens", "new", "--approve").stdout.strip()
        with pytest.raises(EnrolmentRefusedError, match="202"):
            DeviceSimulator(console, "cli-named", serial=serial, token=token)
        return int(shell.json("claims")["claims"][0]["id"])

    first, second = ask("one"), ask("another")
    both = shell("claims", "approve", "cli-named")
    assert both.returncode == 2
    assert f"claims {second} (" in both.stderr
    assert f", {first} (" in both.stderr
    assert shell("claims", "refuse", str(first)).returncode == 0
    done = shell("claims", "approve", "cli-named")
    assert done.stdout == f"claim {second}: cli-named is approved\n"
    assert "no board waits as 'nobody'" in shell("claims", "approve", "nobody").stderr


def test_list_is_understood_where_it_may_be_left_out(console: ConsoleProcess, shell: Shell) -> None:
    DeviceSimulator(console, "cli-listed", token=console.token(labels={"of": "lists"}))
    to = ("--to", "of=lists")
    assert shell.json("devices", "list", *to) == shell.json("devices", *to)
    assert shell.json("rollouts", "list") == shell.json("rollouts")
    done = shell("rollouts", "all")
    assert (done.returncode, "expected the number of a rollout, found 'all'" in done.stderr) == (
        2,
        True,
    )


def test_a_push_that_waits_exits_with_the_devices_reason(
    console: ConsoleProcess, shell: Shell
) -> None:
    device = DeviceSimulator(console, "cli-2")
    said = device.report("failed", release=2, code="outputs", detail="max_abs 3.1, allowed 0.5")
    device.post(status=device.status())
    asked = ("push", "digits:2", "--to", "cli-2", "--wait", "30", "--json")
    waiting = subprocess.Popen(
        [sys.executable, "-m", "littoral", "fleet", *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LITTORAL_FLEET": str(shell.login)},
    )
    assert device.desired(wait_s=20) is not None
    device.post(said)
    out, err = waiting.communicate(timeout=patient(30))
    assert waiting.returncode == 1
    assert json.loads(out)["devices"][0]["code"] == "outputs"
    assert err.endswith("max_abs 3.1, allowed 0.5 [outputs]\n")


def test_a_push_that_nothing_answers_says_that_it_goes_on(
    console: ConsoleProcess, shell: Shell
) -> None:
    DeviceSimulator(console, "cli-3")
    done = shell("push", "digits:1", "--to", "cli-3", "--wait", "1")
    assert done.returncode == 1
    assert "after 1 s, 1 of 1 device not done yet: cli-3 asked for; see" in done.stderr
    assert done.stderr.endswith("[unfinished]\n")
    assert "cli-3: asked for\n" in done.stdout


def test_a_device_on_probation_is_said_to_be_watched_and_until_when(
    console: ConsoleProcess, shell: Shell
) -> None:
    device = DeviceSimulator(console, "cli-5")
    number = console.push("digits:1", to="cli-5")
    device.post(device.report("fetched"))
    assert " on trial " in shell("rollouts", str(number)).stdout
    device.post(device.report("passed", figures={"probation_left_s": 300.0}))
    assert re.search(r" in probation until \d\d:\d\d UTC ", shell("rollouts", str(number)).stdout)
    one = shell.json("rollouts", str(number))["devices"][0]
    assert (one["outcome"], one["state"], one["code"]) == ("pending", "probation", None)
    assert one["until_ms"] == pytest.approx((time.time() + 300) * 1000, abs=30_000)
    done = shell("push", "digits:1", "--to", "cli-5", "--wait", "0.2")
    assert "cli-5: asked for" in done.stdout
    device.post(device.report("healthy", good=1))
    assert " healthy " in shell("rollouts", str(number + 1)).stdout


def test_hardware_that_nothing_fits_is_said_at_once(console: ConsoleProcess, shell: Shell) -> None:
    DeviceSimulator(console, "cli-4")
    done = shell("push", "digits:3", "--to", "cli-4")
    assert (done.returncode, done.stderr.endswith("[wrong-hardware]\n")) == (1, True)
    done = shell("push", "digits:3", "--to", "cli-4", "--force")
    assert done.returncode == 0, done.stderr


def test_what_is_misspelt_is_a_misuse(shell: Shell) -> None:
    for wrong in (("push", "digits"), ("push", "digits:x"), ("label", "cli-1", "site")):
        done = shell(*wrong)
        assert done.returncode == 2, wrong
        assert done.stderr.startswith("error: expected ")
    assert shell("nothing").returncode == 2
    assert shell("releases", "upload", "/nowhere").returncode == 2


def test_releases_are_sent_and_listed(console: ConsoleProcess, shell: Shell) -> None:
    publisher = console.publisher
    publisher.publish(publisher.bundle("sent", 1))
    sent = shell.json("releases", "upload", str(publisher.folder))
    assert [(r["model"], r["release"]) for r in sent["releases"]] == [("sent", 1)]
    assert sent["files"] >= 3
    again = shell.json("releases", "upload", str(publisher.folder))
    assert (again["files"], again["releases"]) == (0, [])
    assert "sent:1" in shell("releases", "list").stdout


def test_what_a_release_costs_is_shown(console: ConsoleProcess, shell: Shell) -> None:
    publisher, noise = console.publisher, random.Random(1).randbytes(9000)
    for release in (1, 2):
        bundle = publisher.bundle(
            "costly", release, files={"model.tflite": noise + b"%d" % release}
        )
        publisher.publish(bundle, encode=Encoder(say=lambda _: None))
    shell.json("releases", "upload", str(publisher.folder))
    (cost,) = shell.json("releases", "show", "costly:2")["costs"]
    (since,) = cost["since"]
    assert since["release"] == 1
    assert since["bytes"] < 300
    assert 9000 < cost["first"] <= cost["plain"]
    said = shell("releases", "show", "costly:2").stdout
    assert "to a device with r1" in said
    assert "model.tflite" in said
    for wrong in ("costly", "costly:x", "../costly:1"):
        assert shell("releases", "show", wrong).returncode == 2


@pytest.mark.parametrize(
    "command", ["", "login", "devices", "tokens new", "releases upload", "push", "telemetry"]
)
def test_help_shows_an_example(shell: Shell, command: str) -> None:
    done = shell(*command.split(), "--help")
    assert done.returncode == 0
    assert "Example: littoral fleet" in done.stdout

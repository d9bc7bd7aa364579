"""``littoral console`` from a shell: what it says, what it refuses, how it is brought back."""

import json
import shutil
import socket
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from littoral.trust import writer
from littoral_console.client import Console
from patience import patient
from simulators.console import PASSWORD, ConsoleProcess, DeviceSimulator, littoral
from simulators.repository import RepositorySimulator

FREE = ("--http", "127.0.0.1:0", "--devices", "127.0.0.1:0")


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``littoral console`` where it is expected not to come up."""
    command = [sys.executable, "-m", "littoral", "console", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=patient(60), check=False)


def test_a_port_in_use_is_one_line(console: ConsoleProcess, tmp_path: Path) -> None:
    shutil.copytree(console.publisher.online, tmp_path / "data" / "keys")
    for option in ("--http", "--devices"):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = start("--data", tmp_path / "data", *FREE, option, address)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"error: cannot listen on {address}")
        assert done.stderr.endswith("[port-in-use]\n")


def test_without_keys_it_says_how_to_make_them(tmp_path: Path) -> None:
    done = start("--data", tmp_path, *FREE)
    assert done.returncode == 2
    assert "littoral repo init" in done.stderr
    assert str(tmp_path / "keys") in done.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--http", "8080"), "--http: expected HOST:PORT"),
        (("--devices", "127.0.0.1:99999"), "--devices: expected HOST:PORT"),
        (("--broker", "nats://x"), "--broker: expected auto, none or mqtts://"),
        (("--database", "oracle"), "--database: expected sqlite:///"),
        (
            ("--database", "mysql://shore:secret@host/x"),
            "or postgresql://…, found 'mysql' [setting]",
        ),
        (("--http", "198.51.100.1:0"), "--http: cannot listen on"),
    ],
)
def test_a_wrong_setting_is_one_line(
    console: ConsoleProcess, tmp_path: Path, wrong: tuple[str, str], said: str
) -> None:
    shutil.copytree(console.publisher.online, tmp_path / "keys")
    done = start("--data", tmp_path, *FREE, *wrong)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_two_consoles_do_not_share_a_folder(console: ConsoleProcess) -> None:
    done = start("--data", console.data, *FREE)
    assert done.returncode == 2
    assert "another console runs" in done.stderr
    assert json.loads((console.data / "console.json").read_text())["pid"] == console.pid


def test_it_says_where_it_listens(console: ConsoleProcess) -> None:
    found = json.loads((console.data / "console.json").read_text())
    assert (console.data / "console.json").stat().st_mode & 0o077 == 0
    assert found["http"] == console.ready["http"]
    assert found["devices"] == console.ready["devices"]
    assert found["broker"] == console.ready["broker"]


def test_the_first_login_is_kept_until_it_is_used(tmp_path: Path) -> None:
    publisher = RepositorySimulator(tmp_path)
    console = ConsoleProcess(tmp_path, publisher, arguments=("--broker", "none"))
    console._token = "none yet"
    with console:
        code = (console.data / "first-login").read_text().strip()
        assert (console.data / "first-login").stat().st_mode & 0o077 == 0
        assert console.ready["setup"].endswith(f"/setup?code={code}")
        console.kill()
        console.start()
        body = {"code": code, "username": "admin", "password": PASSWORD}
        with pytest.raises(Exception, match="one-time code"):
            Console(console.ready["http"]).post("setup", body)
        body["code"] = (console.data / "first-login").read_text().strip()
        Console(console.ready["http"]).post("setup", body)
        console.kill()
        console.start()
        assert console.ready["setup"] is None


def test_a_backup_of_a_running_console_is_a_console(fresh: ConsoleProcess, tmp_path: Path) -> None:
    device = DeviceSimulator(fresh, "kept")
    fresh.push("digits:1", to="kept")
    file = tmp_path / "fleet.tar"
    done = littoral("console", "--data", fresh.data, "backup", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["keys"] is False
    assert file.stat().st_mode & 0o077 == 0
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if name.startswith("keys")]
    # what happens after the backup is forgotten, and nothing that was signed goes back
    fresh.push("digits:1", to="kept")
    later = device.desired()
    assert later is not None
    device.post(device.report("fetched"), device.report("passed"))
    fresh.stop()
    shutil.copytree(fresh.data / "keys", tmp_path / "keys")
    shutil.rmtree(fresh.data)
    done = littoral("console", "--data", fresh.data, "restore", file)
    assert done.returncode == 0, done.stderr
    assert "online keys" in done.stdout
    shutil.copytree(tmp_path / "keys", fresh.data / "keys")
    fresh.start()
    writer.verify(fresh.data / "repo", now=datetime.now(UTC))
    del device.bearer
    again = device.desired(after=later["version"])
    assert again is not None
    assert again["version"] > later["version"]
    said = device.status(spool={device.stream: device.sequence + 1})
    assert device.post(status=said) == {device.stream: 2}
    assert fresh.device("kept")["streams"][0]["lost"] == 2  # acknowledged to the lost console


def test_a_backup_with_keys_says_so(fresh: ConsoleProcess, tmp_path: Path) -> None:
    file = tmp_path / "fleet.tar"
    done = littoral("console", "--data", fresh.data, "backup", file, "--keys", "--json")
    assert json.loads(done.stdout)["keys"] is True
    done = littoral("console", "--data", tmp_path / "new", "restore", file, "--json")
    assert json.loads(done.stdout)["keys"] is True
    for name in ("keys/director.pem", "tls/console-ca.key", "littoral.db"):
        assert (tmp_path / "new" / name).stat().st_mode & 0o077 == 0, name


def test_restoring_changes_no_console_that_is_there(
    console: ConsoleProcess, tmp_path: Path
) -> None:
    done = littoral("console", "--data", console.data, "restore", tmp_path / "none.tar")
    assert done.returncode == 2
    assert "is there already" in done.stderr


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "keys/../../x", "other/x", "keys"])
def test_a_file_that_leads_out_of_the_folder_is_no_backup(tmp_path: Path, name: str) -> None:
    file = tmp_path / "evil.tar"
    with tarfile.open(file, "w") as tar:
        tar.addfile(tarfile.TarInfo("littoral-backup"))
        tar.addfile(tarfile.TarInfo(name))
    done = littoral("console", "--data", tmp_path / "new", "restore", file)
    assert done.returncode == 1
    assert "[malformed]" in done.stderr
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    done = littoral("console", "--data", tmp_path / "new2", "restore", tmp_path / "junk")
    assert "[malformed]" in done.stderr


def test_people_from_elsewhere_come_by_tls_alone(tmp_path: Path) -> None:
    publisher = RepositorySimulator(tmp_path)
    arguments = ("--broker", "none", "--http", "0.0.0.0:0", "--name", "fleet.example")
    console = ConsoleProcess(tmp_path, publisher, arguments=arguments)
    console._token = "none yet"
    with console:
        assert console.ready["http"].startswith("https://fleet.example:")
        here = console.ready["setup"].replace("fleet.example", "127.0.0.1")
        ca = console.data / "tls" / "console-ca.crt"
        told = {"LITTORAL_FLEET": str(tmp_path / "fleet.json"), "LITTORAL_PASSWORD": PASSWORD}
        done = littoral("fleet", "login", here, **told)
        assert (done.returncode, done.stderr.endswith("[denied]\n")) == (1, True)
        assert "a copy of the console's DATA/tls/console-ca.crt" in done.stderr
        done = littoral("fleet", "login", here.replace("https://", "http://"), **told)
        assert "is it there over TLS, by https://? [unreachable]" in done.stderr
        done = littoral("fleet", "login", here, "--ca", ca, **told)
        assert done.returncode == 0, done.stderr
        assert littoral("fleet", "status", **told).returncode == 0


def test_a_repository_that_somebody_changed_keeps_no_console_from_starting(
    fresh: ConsoleProcess,
) -> None:
    fresh.kill()
    newest = max((fresh.data / "repo" / "metadata").glob("*.digits.json"))
    newest.write_bytes(newest.read_bytes().replace(b"digits/1", b"digits/2"))
    fresh.start()
    assert fresh.rest.get("releases/digits/1")["withdrawn"] is False
    assert "signed by nobody who may" in (fresh.base / "console.log").read_text()

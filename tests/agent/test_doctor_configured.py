"""``littoral config check``, as somebody types it who has changed a setting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from littoral.errors import BackendError
from littoral.tree import Tree
from littoral_agent import settings
from littoral_agent.doctor import configured
from patience import patient


def check(*words: object, data: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "littoral", "config", "check", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
        env={**os.environ, "LITTORAL_DATA": str(data or "/nowhere")},
    )


def test_all_that_is_wrong_with_both_files_is_said_in_one_go(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("kep = 3\n\nprobation_s = 'long'\n")
    (tmp_path / "serve.toml").write_text("# mine\nthreads = 0\n")
    done = check(data=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"agent: {tmp_path}/agent.toml" in done.stdout
    assert "wrong, line 1: no setting 'kep'; did you mean 'keep'?" in done.stdout
    assert "wrong, line 3: 'probation_s' should be float, not 'long'" in done.stdout
    assert f"serve: {tmp_path}/serve.toml" in done.stdout
    assert "wrong, line 2: 'threads' should be from 1 to 256, or auto" in done.stdout


def test_what_holds_is_shown_with_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('hardware = ["cpu-aarch64"]\n')
    done = check(data=tmp_path)
    assert done.returncode == 0
    assert 'hardware = ["cpu-aarch64"]  (line 1)' in done.stdout
    assert "serve: no file; every setting has its default" in done.stdout
    assert "keep = 2" not in done.stdout
    everything = check("--all", data=tmp_path).stdout
    assert "keep = 2  (default)" in everything
    assert 'http = "127.0.0.1:8501"  (default)' in everything
    found = json.loads(check("--json", data=tmp_path).stdout)
    agent, serve = found["programs"]
    assert (found["ok"], agent["file"], serve["file"]) == (True, f"{tmp_path}/agent.toml", None)
    hardware = {"setting": "hardware", "value": ["cpu-aarch64"], "line": 1, "default": False}
    assert hardware in agent["values"]


def test_files_that_settings_name_have_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "agent.toml").write_text(
        f'proxy = "http://u@proxy.lan:3128"\n'
        f'proxy_secret = "{tmp_path}/secret"\nsources_ca = "{tmp_path}/ca.pem"\n'
    )
    for done in (check(data=tmp_path), check(tmp_path / "agent.toml")):
        assert done.returncode == 1
        said = f"wrong, line 2: 'proxy_secret': there is no file {tmp_path}/secret on this machine"
        assert said in done.stdout
        assert "sources_ca': there is no" not in done.stdout
    (tmp_path / "secret").write_text("password")
    assert check(data=tmp_path).returncode == 0


def test_files_are_checked_by_their_names(tmp_path: Path) -> None:
    serve = tmp_path / "serve.toml"
    serve.write_text("http = 'nowhere'\n")
    done = check(serve, "--json")
    (only,) = json.loads(done.stdout)["programs"]
    assert (done.returncode, only["program"]) == (1, "serve")
    assert "expected HOST:PORT" in only["problems"][0]["error"]
    other = tmp_path / "other.toml"
    other.touch()
    assert check(other).stderr.endswith("expected a file named agent.toml or serve.toml [usage]\n")
    assert check(tmp_path / "agent.toml").stderr.endswith("agent.toml: no such file [setting]\n")


def test_the_packages_file_is_read_where_the_folder_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, etc = Tree(tmp_path / "data"), tmp_path / "etc.toml"
    data.root.mkdir()
    monkeypatch.setattr(settings, "DATA", data.root)
    monkeypatch.setattr(settings, "ETC", etc)
    etc.write_text("keep = 3\n")
    agent, _ = configured.of_device(data)
    assert (agent.found.file, agent.found.shadowed) == (etc, None)
    data.settings.write_text("keep = 4\n")
    agent, _ = configured.of_device(data)
    assert (agent.found.file, agent.found.shadowed) == (data.settings, etc)
    assert settings.read(data).keep == 4, "as the agent itself has it"


def test_a_serve_that_cannot_be_asked_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BackendError, match=r"it ended with 1.*run: littoral doctor"):
        configured.of_device(Tree(tmp_path))

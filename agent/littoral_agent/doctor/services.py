"""Agent and serve as they run here: their folder, their settings, what they answer."""

import http.client
import os
import pwd
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from littoral import addresses
from littoral.errors import (
    FrozenError,
    LittoralError,
    RevokedError,
    SupersededError,
    WaitingError,
    WrongBoardError,
)
from littoral_agent import hardware, state
from littoral_agent import settings as own
from littoral_agent.control import Control, ServeDownError
from littoral_agent.doctor import configured
from littoral_agent.doctor.finding import Finding, Place, allowed, fail, ok, skip, warn
from littoral_agent.doctor.identity import ENROL
from littoral_agent.settings import DATA

_LOG: Final = "sudo journalctl -u littoral-serve -n 50"
_LOOK: Final = "sudo littoral status; sudo journalctl -u littoral-agent -n 50"
_UNHEARD: Final = {  # by what the agent says of why its console does not hear it
    WaitingError.code: "for an operator: littoral fleet claims",
    FrozenError.code: "for an operator: littoral fleet devices thaw NAME",
    RevokedError.code: ENROL,
    SupersededError.code: ENROL,
    WrongBoardError.code: ENROL,
}
_NOT_SEEN: Final = {"cuda", "tensorrt"}  # they need a runtime, which the agent does not load
_HTTP_S: Final = 5.0
_MOST_FILES: Final = 20_000
_UNIT: Final = "usr/lib/systemd/system/littoral-agent.service"


def folder(place: Place) -> Finding:
    """Check whose the data folder is, and that no file in it is somebody else's."""
    root = place.tree.root
    if not root.exists():
        return skip(_no_device(place))
    held = root.stat()
    said = f"{root}, {stat.S_IMODE(held.st_mode):04o}, of {_user(held.st_uid)}"
    allowed(root)
    if held.st_mode & stat.S_IWOTH:
        wrong = "everybody may write there, and so choose what this device is"
        return fail(said, wrong, do=f"sudo chmod 750 {root}")
    secret = place.tree.identity
    if secret.exists() and (mode := stat.S_IMODE(secret.stat().st_mode)) & 0o077:
        return fail(said, f"{secret} is {mode:04o}, and holds keys", do=f"sudo chmod 700 {secret}")
    strangers = [path for path, uid in islice(_files(root), _MOST_FILES) if uid != held.st_uid]
    if strangers:
        wrong = f"{len(strangers)} files in it are not {_user(held.st_uid)}'s, as {strangers[0]}"
        return fail(
            said,
            f"{wrong}: the agent can neither read nor replace them",
            do=f"sudo chown -hR {_user(held.st_uid)}: {root}",
        )
    return ok(said)


def settings(place: Place) -> Finding:
    """Check both programs' settings."""
    checked = configured.of_device(place.tree)
    files = [str(one.found.file) for one in checked if one.found.file is not None]
    said = " and ".join(files) or "every setting has its default"
    wrong = [
        f"{one.found.file}:{problem.line or 1}: {problem.error}"
        for one in checked
        for problem in one.found.problems
    ]
    if wrong:
        return fail(said, "; ".join(wrong), do="littoral config check")
    absent = set(own.read(place.tree).hardware) - set(hardware.detect(place.root)) - _NOT_SEEN
    if absent:
        wrong_ = f"agent.toml names hardware that is not here: {', '.join(sorted(absent))}"
        return warn(said, wrong_, do=f"plug it in, or take it out of hardware in {files[0]}")
    for one in checked:
        if one.found.shadowed is not None:
            wrong_ = f"{one.found.shadowed} is not read: {one.found.file} goes before it"
            return warn(said, wrong_, do=f"put into one file what should hold: {one.found.file}")
    serve = checked[1].found
    if _has_units(place) and any(v.setting == "http" and v.line for v in serve.values):
        wrong_ = "http in serve.toml changes nothing here: the address is the socket unit's"
        return warn(said, wrong_, do="sudo systemctl edit littoral-serve.socket")
    return ok(said)


def agent(place: Place) -> Finding:
    """Check that an agent runs, and that its console hears it."""
    if not place.tree.root.exists():
        return skip(_no_device(place))
    allowed(state.lock_path(place.tree), os.R_OK | os.W_OK)
    live = state.live(place.tree)
    if live is None:
        return fail("none", "no agent runs on this folder", do=_start(place))
    said = f"process {live.pid}"
    begun = datetime.fromtimestamp(live.since_ms / 1000, UTC)
    since = f", since {begun:%Y-%m-%d %H:%M}Z" if live.since_ms else ""
    if live.code is not None and not live.up:
        tell = warn if live.code == WaitingError.code else fail
        return tell(said, f"{live.words} [{live.code}]{since}", do=_UNHEARD.get(live.code, _LOOK))
    if live.channel is None:
        return ok(f"{said}, not enrolled")
    if not live.up:
        return fail(said, f"no connection to the console over {live.channel}{since}", do=_LOOK)
    return ok(f"{said}, connected over {live.channel}")


def serve(place: Place) -> Finding:
    """Check that serve takes orders, and answers clients."""
    if not place.tree.root.exists():
        return skip(_no_device(place))
    control = place.tree.control
    allowed(control, os.W_OK)
    try:
        serving = Control(control).state()
    except ServeDownError:
        return fail("none", f"serve does not answer on {control}", do=_start(place))
    except LittoralError as e:
        return fail("one that takes no orders", str(e), do=_LOG)
    names = ", ".join(f"{one.model} {one.release}" for one in serving.models) or "no model yet"
    said = f"process {serving.pid} on {serving.http}: {names}"
    try:
        missing = [one.model for one in serving.models if not _answers(serving.http, one.model)]
        _answers(serving.http, "")  # that it answers at all will do where it holds nothing
    except (OSError, http.client.HTTPException, ValueError) as e:
        return fail(said, f"clients get no answer: {e}", do=f"{_LOG}; sudo ss -ltnp")
    if missing:
        return fail(said, f"clients are told that there is no {', '.join(missing)}", do=_LOG)
    return ok(said)


def _start(place: Place) -> str:
    """Return how both programs are started here: by systemd where the package's units are."""
    if _has_units(place):
        return "sudo systemctl start littoral-agent littoral-serve"
    return f"littoral run --data {place.tree.root}"


def _has_units(place: Place) -> bool:
    return place.tree.root == DATA and (place.root / _UNIT).exists()


def _no_device(place: Place) -> str:
    return f"no device is here yet: there is no {place.tree.root}"


def _answers(where: str, model: str) -> bool:
    """Ask as a client would; return whether the model is there for it."""
    host, port = addresses.split(where)
    connection = http.client.HTTPConnection(host, port, timeout=_HTTP_S)
    try:
        connection.request("GET", f"/v1/models/{model}")
        with connection.getresponse() as response:
            return response.status == http.HTTPStatus.OK
    finally:
        connection.close()


def _files(root: Path) -> Iterator[tuple[Path, int]]:
    """Walk the files below ``root`` and who has them; sockets and links are systemd's to make."""
    for where, _, names in os.walk(root):
        for path in (Path(where), *(Path(where, name) for name in names)):
            try:
                held = path.lstat()
            except FileNotFoundError:
                continue  # it was on its way
            if stat.S_ISREG(held.st_mode) or stat.S_ISDIR(held.st_mode):
                yield path, held.st_uid


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

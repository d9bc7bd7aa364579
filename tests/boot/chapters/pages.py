"""docs/install.md, typed by somebody who has never seen it: a console, then a device beside it.

What stands in ``sh`` blocks is typed as it stands, by a user who says yes to apt; words in capitals
and secrets are replaced as the page says. Nobody sits at a terminal, so the password that a login
would ask for is in its environment.
"""

import json
import re
import shlex
import shutil
from typing import Any, Final

from boot.house import PASSWORD
from boot.machine import Machine
from boot.trees import ROOT
from boot.world import World
from stage import UnmetError, expect, wait_for

PAGE: Final = ROOT / "docs/install.md"
# By the title that they stand below. Packages are built before; chapters/coral types the other.
TYPED: Final = ("A console", "A device", "gRPC", "Upgrade, downgrade, remove")
LEFT_OUT: Final = ("Build the packages", "An accelerator")
NAME: Final = "both"
# With Debian's grpcio, which is not the one of the test-suite.
ASK: Final = """
import grpc
channel = grpc.insecure_channel("127.0.0.1:8500")
call = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
print(call(b"", timeout=60, wait_for_ready=True).hex())
"""


def blocks() -> dict[str, list[str]]:
    """Return the page's commands, block by block, by the title that they stand below."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^##+ ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        if held := re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            found[title] = held
    return found


def install_page(world: World) -> dict[str, Any]:
    """Everything of the page, with a console's package and its broker on the same machine."""
    page = blocks()
    expect(set(page) == {*TYPED, *LEFT_OUT}, "a page whose every block is known", list(page))
    machine = world.machine(NAME)
    machine.boot()
    for package in ("agent", "console"):
        shutil.copy(world.packages[package], machine.root / "root")
    words = {"https://CONSOLE:8443": "https://127.0.0.1:8443"}
    words["sudo littoral fleet login"] = f"sudo LITTORAL_PASSWORD={PASSWORD} littoral fleet login"
    (machine.root / "media/usb").mkdir(parents=True)
    first, second = page["A console"]
    words["CODE"] = typed(machine, first, words).split()[-1]
    wait_for("the console to answer", lambda: healthy(machine), within_s=60 * world.slow)
    words["lit1_…"] = token(typed(machine, second, words))
    said = typed(machine, page["A device"][0], words)
    expect("device" in said, "a status", said[-300:])
    wait_for("a device online", lambda: online(machine), within_s=60 * world.slow)
    broker = machine.sh("pgrep -u littoral-console -c mosquitto", check=False).strip()
    said = machine.journal("-u", "littoral-console")
    expect(broker == "1", "a broker below the console's unit", said[-600:])
    typed(machine, page["gRPC"][0], words)
    live = machine.sh(f"python3 -c {shlex.quote(ASK)}", within_s=120)
    expect(live.strip() == "0801", "serve to say by gRPC that it lives", live)
    newer = world.packages["newer"]
    shutil.copy(newer, machine.root / "root")
    words["littoral-agent_NEW_arm64.deb"] = newer.name
    typed(machine, page["Upgrade, downgrade, remove"][0], words)
    machine.sh("yes | apt-get purge littoral-console", within_s=300)
    machine.shutdown()
    lines = sum(block.count("\n") for title in TYPED for block in page[title])
    return {"lines": lines, "left_out": list(LEFT_OUT), "broker": "below the console's unit"}


def typed(machine: Machine, block: str, words: dict[str, str]) -> str:
    """Return what a block of the page prints, its words in capitals replaced."""
    for word, value in words.items():
        block = block.replace(word, value)
    # apt reads ahead, some thousand answers at a time.
    return machine.sh(f"cd /root\n{block}", within_s=300, answers="y\n" * 20_000)


def token(said: str) -> str:
    found = re.search(r"lit1_\S+", said)
    if found is None:
        raise UnmetError("a token", said[-300:])
    return found[0]


def healthy(machine: Machine) -> bool | None:
    code = "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz')"
    return machine.sh(f'python3 -c "{code}" && echo yes || true').strip() == "yes" or None


def online(machine: Machine) -> bool | None:
    told = json.loads(machine.run("littoral", "fleet", "devices", "--json"))
    return any(one["online"] for one in told["devices"]) or None

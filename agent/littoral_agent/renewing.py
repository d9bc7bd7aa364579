"""``python -m littoral_agent.renewing``: the cryptography of a newer key, in its own process.

    request FOLDER DEVICE        makes the key in FOLDER if there is none; prints its request
    check DATA FOLDER NOW_MS     reads a Renewed; prints its chain, if it is this device's

Once in years: what it loads would stay in the agent for ever. A refusal is one line on
standard error, and the exit code REFUSED: 1 is what Python gives a crash.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from littoral.errors import LittoralError, TrustError
from littoral.tree import Tree
from littoral.trust import rules
from littoral.trust.identity import check_device, digest, load_pem
from littoral.trust.keys import DEVICE_KEY, load_private, new_device_key
from littoral.wire.identity import Renewed
from littoral_agent import identity
from littoral_agent.renewal import REFUSED

MOST_BYTES = 64 * 1024


def check(tree: Tree, folder: Path, data: bytes, *, now: datetime) -> str:
    """Return the chain in ``data``, a Renewed.

    Raises:
        TrustError: It is not for the key in ``folder``, not for this device, or not issued by the
            authority that the held root names.
        MalformedError: It cannot be read.

    """
    renewed = Renewed.from_json(data)
    who = identity.of(tree).read()
    root, *_ = load_pem(renewed.device_ca, "device CA")
    held = rules.held_root((tree.metadata / "root.json").read_bytes()).signed
    if digest(root) != rules.anchors(held).device_ca_sha256:
        raise TrustError("the newer certificate is of another authority than the fleet's")
    found = check_device(renewed.certificate, root=root, now=now)
    expected = (who.device, who.fleet, who.incarnation) if who else None
    if (found.device, found.fleet, found.incarnation) != expected:
        raise TrustError(f"the newer certificate is for {found.device}/{found.incarnation}")
    if found.certificate.public_key() != load_private(folder / DEVICE_KEY).public_key():
        raise TrustError("the newer certificate is of another key than the newer one")
    return renewed.certificate


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["request", folder, device]:
                sys.stdout.write(new_device_key(Path(folder), device))
            case ["check", data, folder, now_ms]:
                body = sys.stdin.buffer.read(MOST_BYTES + 1)
                now = datetime.fromtimestamp(int(now_ms) / 1000, UTC)
                sys.stdout.write(check(Tree(Path(data)), Path(folder), body, now=now))
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 2
    except (LittoralError, OSError, ValueError) as e:
        sys.stderr.write(f"{e}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

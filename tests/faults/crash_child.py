"""A process that does one thing, to be written down: python -m faults.crash_child STORY ROOT …

    enrol ROOT URL TOKEN      enrols the device there
    renew ROOT BASE           gives it a newer key, which the authority in BASE certifies
    found, rotate ROOT        as faults.crash_deeds
    publish ROOT BUNDLE
    follow ROOT REPO

It waits for a byte before it begins: whoever traces it is attached by then.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from faults import crash_deeds, crash_marks
from faults.crash_marks import mark
from faults.teeth import break_
from littoral.tree import Tree
from littoral.trust.certificates import Authority, issue_device
from littoral.trust.keys import new_device_key
from littoral.wire.identity import Renew, Renewed
from littoral_agent import identity, renewing
from littoral_agent.enroll import enroll
from littoral_agent.identity import Enrolment
from littoral_agent.origin import Origin
from littoral_agent.renewal import State
from littoral_agent.renewer import Renewer


def main(story: str, root: str, *words: str) -> int:
    tree = Tree(Path(root))
    become: Callable[[], object]
    match story, words:
        case "enrol", (url, token):
            post = Origin.post

            def asked(origin: Origin, *arguments: Any, **more: Any) -> Any:
                mark("asked")
                return post(origin, *arguments, **more)

            break_(Origin, "post", asked)
            become = partial(enroll, url, token, tree, name="pi-7")
        case "renew", (base,):
            become = partial(renew, tree, Path(base))
        case (("found" | "rotate" | "publish" | "follow"), _):
            become = partial(getattr(crash_deeds, story), tree.root, *map(Path, words))
        case _:
            return 2
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.buffer.read(1)
    crash_marks.begin()
    become()
    return 0


def renew(tree: Tree, base: Path) -> None:
    """Go on from whatever there is to a newer pair that took the place of the earlier."""
    enrolment = identity.of(tree).read()
    assert enrolment is not None
    renewer = alone(tree, enrolment)
    if renewer.files.state is State.HELD:
        renewer.welcomed(renewer.pair())
        return
    renewer.asked(Renew(certificate=renewer.using))
    renewer.tick()
    ca = Authority.load(base / "online" / "device-ca.pem", base / "online" / "device-ca.crt")
    now = datetime.now(UTC)
    chain = issue_device(
        renewer._csr,
        fleet=enrolment.fleet,
        device=enrolment.device,
        incarnation=enrolment.incarnation,
        ca=ca,
        now=now,
    )
    root = (base / "offline" / "device-ca.crt").read_text()
    renewer.answered(Renewed(certificate=chain, device_ca=root).to_json())
    renewer.tick()
    pair = renewer.pair()
    mark("heard")  # the console has heard the device by it, and ends the earlier one
    renewer.welcomed(pair)


def alone(tree: Tree, enrolment: Enrolment) -> Renewer:
    """Return a renewer that does everything in this thread and this process."""
    renewer: Any = Renewer(tree, enrolment, now=lambda: datetime.now(UTC))
    renewer._work = lambda deed: deed()
    renewer._child = _within
    found: Renewer = renewer
    return found


def _within(what: str, *words: Any, data: bytes = b"") -> str:
    if what == "request":
        folder, device = words
        return new_device_key(folder, device)
    root, folder, now_ms = words
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return renewing.check(Tree(root), folder, data, now=now)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Whether the network by which this device reaches others is paid for by the byte.

Where NetworkManager is, it knows: what a person said of the connection, else what it guesses
from its kind and from what a phone says that lends its own. Elsewhere a modem tells: the default
route leads through an interface that the kernel calls wwan or ppp. Nothing is remembered: the
next look may find another network.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from littoral.errors import ChildError

# What of NetworkManager's property Metered says yes or no; unknown, and a guessed no, say nothing:
# of a modem that it does not manage it knows nothing either.
_SAYS: Final = {"u 1": True, "u 2": False, "u 3": True}
_ASK: Final = (
    *("/usr/bin/busctl", "--system", "get-property", "org.freedesktop.NetworkManager"),
    *("/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager", "Metered"),
)
_ASK_S: Final = 2.0
_MODEMS: Final = {"wwan", "ppp"}
_UP: Final = 0x1  # of a route's flags
_REJECT: Final = 0x200

log = logging.getLogger(__name__)


def metered(root: Path = Path("/"), *, ask: Callable[[], str] | None = None) -> bool:
    """Return whether it is; whose network nobody knows is taken for one that is not.

    ``root`` is the machine's, ``ask`` returns what NetworkManager answers.
    """
    if (root / "run/NetworkManager").is_dir():
        said = _SAYS.get((ask or _manager)())
        if said is not None:
            return said
    interface = outward(root)
    return interface is not None and _is_modem(root / "sys/class/net" / interface)


def outward(root: Path = Path("/")) -> str | None:
    """Return the interface of the default route, IPv4's before IPv6's; None: there is none."""
    for routes in (_routes_4, _routes_6):
        try:
            found = min(routes(root), default=None)
        except (OSError, ValueError, IndexError) as e:
            log.debug("the routes cannot be read: %s", e)
            continue
        if found is not None:
            return found[1]
    return None


def _routes_4(root: Path) -> Iterator[tuple[int, str]]:
    """Walk metric and interface of the default routes."""
    for line in (root / "proc/net/route").read_text().splitlines()[1:]:
        name, destination, _, flags, _, _, metric, mask, *_ = line.split()
        if int(destination, 16) == int(mask, 16) == 0 and int(flags, 16) & _UP:
            yield int(metric), name


def _routes_6(root: Path) -> Iterator[tuple[int, str]]:
    for line in (root / "proc/net/ipv6_route").read_text().splitlines():
        destination, length, _, _, _, metric, _, _, flags, name = line.split()
        usable = int(flags, 16) & (_UP | _REJECT) == _UP
        if int(destination, 16) == int(length, 16) == 0 and usable and name != "lo":
            yield int(metric, 16), name


def _is_modem(interface: Path) -> bool:
    try:
        said = dict(
            line.split("=", 1) for line in (interface / "uevent").read_text().splitlines() if line
        )
    except (OSError, ValueError):
        return False
    return said.get("DEVTYPE") in _MODEMS


def _manager() -> str:
    from littoral_agent import child  # what most devices need not ask

    try:
        return child.run(_ASK, within_s=_ASK_S).answer.decode(errors="replace").strip()
    except ChildError as e:
        log.info("NetworkManager does not say whether the network is metered: %s", e)
        return ""

"""Whether releases can come from where the settings say, apart from the console; and which way.

It asks for the one file that every repository has, and believes nothing of it.
"""

import contextlib
from pathlib import Path
from typing import Final

from littoral.errors import LittoralError, UnreachableError
from littoral_agent.doctor import network
from littoral_agent.doctor.finding import Finding, Place, fail, ok, skip
from littoral_agent.doctor.identity import enrolment
from littoral_agent.hosts import Hosts, copy
from littoral_agent.settings import COPIES, FOLDER

_NAME: Final = "metadata/timestamp.json"
_MOST_BYTES: Final = 64 * 1024


def proxy(place: Place) -> Finding:
    """Go through the proxy, to where the console is."""
    proxy = place.settings.through if place.settings else None
    if proxy is None:
        return skip("none is set")
    _, found = enrolment(place)
    if found is None:
        return skip(f"{proxy.where}; not enrolled, so there is no console to go to")
    host, port = network.where(found)
    if not proxy.serves(host):
        return skip(f"{proxy.where}; the console is reached without it")
    try:
        network.through(proxy, host, port).close()
    except network.NoConnectionError as e:
        return fail(proxy.where, str(e), do=e.do)
    return ok(f"{proxy.where} connects to {host}:{port}")


def sources(place: Place) -> Finding:
    """Look at every source that is a copy or a folder."""
    settings = place.settings
    if settings is None:
        return skip("the settings cannot be read")
    others = [one for one in settings.sources if one.startswith((FOLDER, *COPIES))]
    if not others:
        return skip(f"{', '.join(settings.sources)}: the console's own")
    with contextlib.closing(Hosts.of(settings)) as hosts:
        wrong = {one: why for one in others if (why := _wrong(one, hosts)) is not None}
    if wrong:
        first = next(iter(wrong))
        do = f"ls -l {first.removeprefix(FOLDER)}/{_NAME}"
        if not first.startswith(FOLDER):
            do = f"curl -v {first}/{_NAME}"
        return fail(", ".join(settings.sources), "; ".join(wrong.values()), do=do)
    return ok(f"{', '.join(others)}: a repository is there")


def _wrong(source: str, hosts: Hosts) -> str | None:
    if source.startswith(FOLDER):
        place = Path(source.removeprefix(FOLDER))
        return None if (place / _NAME).is_file() else f"{place}: no repository is there"
    try:
        copy(source, hosts)(_NAME, limit=_MOST_BYTES)
    except UnreachableError as e:
        return str(e)
    except LittoralError as e:
        return f"{source}: {e}"
    return None

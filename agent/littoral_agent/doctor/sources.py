"""Whether releases can come from where the settings say, apart from the console; and which way.

It asks for the one file that every repository has, and believes nothing of it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from littoral.errors import LittoralError, ProxyError, SettingsError, UnreachableError
from littoral_agent import settings as configured
from littoral_agent import tunnel
from littoral_agent.doctor.finding import Finding, Place, fail, ok, skip
from littoral_agent.doctor.identity import enrolment
from littoral_agent.hosts import Hosts, copy
from littoral_agent.settings import COPIES, FOLDER, Settings

_NAME: Final = "metadata/timestamp.json"
_MOST_BYTES: Final = 64 * 1024
_CONNECT_S: Final = 5.0
_HTTPS: Final = 443


def proxy(place: Place) -> Finding:
    """Go through the proxy, to where the console is."""
    settings, _, found = _settings(place), *enrolment(place)
    proxy = settings.through if settings else None
    if proxy is None:
        return skip("none is set")
    if found is None:
        return skip(f"{proxy.where}; not enrolled, so there is no console to go to")
    at = urlsplit(found.url)
    host, port = at.hostname or "", at.port or _HTTPS
    if not proxy.serves(host):
        return skip(f"{proxy.where}; the console is reached without it")
    try:
        tunnel.connect(proxy, host, port, within_s=_CONNECT_S).close()
    except ProxyError as e:
        return fail(
            proxy.where, str(e), do=f"curl -v -x http://{proxy.where} https://{host}:{port}"
        )
    return ok(f"{proxy.where} connects to {host}:{port}")


def sources(place: Place) -> Finding:
    """Look at every source that is a copy or a folder."""
    settings = _settings(place)
    if settings is None:
        return skip("the settings cannot be read")
    others = [one for one in settings.sources if one.startswith((FOLDER, *COPIES))]
    if not others:
        return skip(f"{', '.join(settings.sources)}: the console's own")
    with _hosts(settings) as hosts:
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


def _settings(place: Place) -> Settings | None:
    try:
        return configured.read(place.tree)
    except SettingsError:
        return None


@contextlib.contextmanager
def _hosts(settings: Settings) -> Iterator[Hosts]:
    hosts = Hosts.of(settings)
    try:
        yield hosts
    finally:
        hosts.close()

"""What the fleet's trust rests on, and when it ends: signed roles, and the authorities of TLS.

The console signs snapshot and timestamp by itself; all else needs people who have to be told in
time. It reads, and moves nothing.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from littoral.errors import BundleError, StorageError, TrustError
from littoral.trust import survey
from littoral.trust.repository import Repository
from littoral.trust.survey import Urgency, urgency
from littoral_console import forgeries
from littoral_console.keys import OnlineKeys
from littoral_console.tls import Tls

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    what: str
    when: datetime
    urgency: Urgency


def endings(
    repository: Repository, *, keys: OnlineKeys, tls: Tls, now_ms: int
) -> tuple[Ending, ...]:
    """Return what ends, the first first."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    found = (*_roles(repository, now=now), *_authorities(keys, tls, now=now))
    return tuple(sorted(found, key=lambda one: one.when))


def tell(before: tuple[Ending, ...], now: tuple[Ending, ...]) -> None:
    """Say in the log what has become urgent since."""
    known = {(one.what, one.urgency) for one in before}
    for one in now:
        if one.urgency != "fine" and (one.what, one.urgency) not in known:
            verb = "ended" if one.urgency == "over" else "ends"
            _log.warning("%s %s at %s", one.what, verb, f"{one.when:%Y-%m-%d %H:%M} UTC")


def _roles(repository: Repository, *, now: datetime) -> Iterator[Ending]:
    genuine = forgeries.genuine(repository)
    if not genuine.versions():
        return
    try:
        rows = survey.rows(genuine, now=now)
    except (TrustError, BundleError, StorageError) as e:
        _log.error("when the repository's signatures end is not known: %s [%s]", e, e.code)
        return
    for row in rows:
        yield Ending(what=row.role, when=row.expires, urgency=row.urgency)


def _authorities(keys: OnlineKeys, tls: Tls, *, now: datetime) -> Iterator[Ending]:
    online, *_, root = keys.device_ca.chain
    console = x509.load_pem_x509_certificate((tls.folder / "console-ca.crt").read_bytes())
    named = {"device CA": root, "device CA, online": online, "console CA": console}
    for what, certificate in named.items():
        when = certificate.not_valid_after_utc
        yield Ending(what=what, when=when, urgency=urgency(what, when - now))

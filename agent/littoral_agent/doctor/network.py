"""Whether console and broker can be reached from here, and are who they should be.

The broker is only shaken hands with: to speak MQTT would end the agent's own session there.
"""

import contextlib
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from littoral import addresses, records
from littoral.errors import LittoralError, ProxyError, TrustError
from littoral.trust.clock import system_clock
from littoral.wire.enrolment import SignedTime
from littoral_agent import tls, tunnel
from littoral_agent.doctor.finding import Finding, Place, fail, ok, skip, warn
from littoral_agent.doctor.identity import ENROL, enrolment
from littoral_agent.identity import Enrolment
from littoral_agent.origin import Origin
from littoral_agent.routes import Proxy
from littoral_agent.settings import HTTPS, MQTT

_CONNECT_S: Final = 5.0
_ALERT_S: Final = 0.5  # a refused certificate is told after the handshake
_MAX_ANSWER: Final = 4096
_MOST_SKEW_S: Final = 300.0
_HTTPS: Final = 443


class NoConnectionError(Exception):
    """Why there is no connection, and what to do."""

    def __init__(self, wrong: str, do: str) -> None:
        super().__init__(wrong)
        self.do = do


def console(place: Place) -> Finding:
    """Reach the console, check that it is the token's, and compare its signed time."""
    who, found = enrolment(place)
    if found is None:
        return skip("not enrolled")
    host, port = where(found)
    try:
        began = time.monotonic()
        with _connection(host, port, proxy=_proxy(place), ca=who.console_ca):
            took_ms = (time.monotonic() - began) * 1e3
    except NoConnectionError as e:
        return _unreached(place, found, e)
    said = f"{found.url} answers in {took_ms:.0f} ms"
    try:
        ahead_s = _ahead_s(place, found, ca=who.console_ca)
    except TrustError as e:
        return fail(said, f"its time is not signed as root says: {e}", do=ENROL)
    except (LittoralError, records.RecordError) as e:
        do = "on the console: sudo journalctl -u littoral-console -n 50"
        return warn(said, f"it does not say the time: {e}", do=do)
    if abs(ahead_s) > _MOST_SKEW_S:
        wrong = f"this machine's clock is {_span(ahead_s)} the console's"
        return warn(said, wrong, do="sudo timedatectl set-ntp true")
    return ok(f"{said}; its time is signed, and the clock here {ahead_s:+.1f} s off")


def broker(place: Place) -> Finding:
    """Reach the broker, and check that it takes this device's certificate."""
    who, found = enrolment(place)
    if found is None:
        return skip("not enrolled")
    if found.broker is None:
        return skip("none: this console is reached over HTTPS alone")
    host, port = addresses.split(found.broker)
    try:
        with _connection(
            host,
            port,
            proxy=_proxy(place),
            ca=who.console_ca,
            certificate=who.certificate,
            key=who.key,
        ) as link:
            refused = _refused(link)
    except NoConnectionError as e:
        return fail(found.broker, str(e), do=e.do)
    if refused is not None:
        wrong = f"it refuses this device's certificate: {refused}"
        return fail(found.broker, wrong, do=f"littoral status  # may say why\n{ENROL}")
    return ok(f"{found.broker} takes the certificate")


def _ahead_s(place: Place, found: Enrolment, *, ca: Path) -> float:
    """Return by how much this machine's clock is ahead of the console's signed time."""
    from tuf.api.metadata import Root

    from littoral.trust.keys import check_time
    from littoral.trust.metadata import parse
    from littoral.trust.rules import anchors

    root = parse(Root, (place.tree.metadata / "root.json").read_bytes(), "root.json").signed
    nonce = secrets.token_hex(16)
    origin = Origin(found.url, ca=ca, proxy=_proxy(place))
    try:
        began = time.monotonic()
        reply = origin.get(f"time?nonce={nonce}", limit=_MAX_ANSWER, read_s=_CONNECT_S)
        rtt_s = time.monotonic() - began
        now = system_clock()
        answer = records.from_json(SignedTime, reply.granted("time"), limit=_MAX_ANSWER)
    finally:
        origin.close()
    signed = check_time(answer, nonce, keys=anchors(root).time)
    return (now - signed).total_seconds() - rtt_s / 2


def _unreached(place: Place, found: Enrolment, why: NoConnectionError) -> Finding:
    """Say that the console is away, which may be how its device was meant."""
    asked = place.settings.sources if place.settings else ()
    if found.broker is None or MQTT not in asked or HTTPS in asked:
        return fail(found.url, str(why), do=why.do)
    return warn(found.url, f"{why}; by its sources it needs the broker alone", do=why.do)


def where(found: Enrolment) -> tuple[str, int]:
    """Return host and port of the console."""
    at = urlsplit(found.url)
    return at.hostname or "", at.port or _HTTPS


def _proxy(place: Place) -> Proxy | None:
    return place.settings.through if place.settings else None


@contextlib.contextmanager
def _connection(
    host: str,
    port: int,
    *,
    proxy: Proxy | None,
    ca: Path,
    certificate: Path | None = None,
    key: Path | None = None,
) -> Iterator[ssl.SSLSocket]:
    """Connect step by step, so that it is known which one failed.

    Raises:
        NoConnectionError: One did.

    """
    context = tls.context(ca, certificate=certificate, key=key)
    link = through(proxy, host, port) if proxy and proxy.serves(host) else _direct(host, port)
    with contextlib.closing(link):
        try:
            secured = context.wrap_socket(link, server_hostname=host)
        except OSError as e:  # ssl.SSLError is one
            raise _stranger(host, port, e) from e
        with secured:
            yield secured


def _direct(host: str, port: int) -> socket.socket:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as e:
        do = f"getent hosts {host}; resolvectl status; or enrol by the console's address"
        raise NoConnectionError(f"nobody knows the name {host}: {e.strerror or e}", do) from e
    try:
        return socket.create_connection((host, port), timeout=_CONNECT_S)
    except OSError as e:
        how = "nothing answers" if isinstance(e, TimeoutError) else str(e.strerror or e).lower()
        why = f"no connection to {host}:{port}: {how}; does it run there, is its port open?"
        raise NoConnectionError(why, f"nc -vz {host} {port}") from e


def through(proxy: Proxy, host: str, port: int) -> socket.socket:
    """Return a connection to ``host``. Raises NoConnectionError."""
    try:
        return tunnel.connect(proxy, host, port, within_s=_CONNECT_S)
    except ProxyError as e:
        raise NoConnectionError(
            str(e), f"curl -x http://{proxy.where} https://{host}:{port}"
        ) from e


def _stranger(host: str, port: int, error: OSError) -> NoConnectionError:
    """Return what is wrong with who answered, and could not be shaken hands with."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return NoConnectionError(
            f"who answers is not the console that this device knows: {error.verify_message}; "
            f"its CA was replaced, it was enrolled by another name than {host}, or somebody is "
            "in between",
            ENROL,
        )
    return NoConnectionError(
        f"who answers does not speak TLS as a console does: {error.strerror or error}",
        f"openssl s_client -connect {host}:{port} </dev/null  # is it the console's own port?",
    )


def _refused(link: ssl.SSLSocket) -> str | None:
    """Return what the other side says of our certificate; silence is consent."""
    link.settimeout(_ALERT_S)
    try:
        return None if link.recv(1) else "it hangs up"
    except TimeoutError:
        return None
    except OSError as e:
        return str(getattr(e, "reason", "") or e.strerror or e)


def _span(ahead_s: float) -> str:
    size = abs(ahead_s)
    words = f"{size / 86400:.1f} days" if size > 86400 else f"{size / 60:.0f} minutes"  # noqa: PLR2004
    return f"{words} {'ahead of' if ahead_s > 0 else 'behind'}"

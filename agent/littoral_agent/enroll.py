"""Makes a board a device of a fleet: a key made here, a certificate in return.

The token says whom to believe: by it the console's CA, fetched from anybody, and the root of
all trust are checked before a word is said. The secret leaves only over a connection that
this CA secures. What is written last makes the device the fleet's; until then all of it can
be done again. A root that is held is never replaced.
"""

import hashlib
import http
import logging
import re
import socket
import ssl
from typing import Final

from littoral import __version__, durable, records
from littoral.errors import (
    DeniedError,
    ForgottenError,
    MalformedError,
    MisuseError,
    TrustError,
    UnreachableError,
)
from littoral.tree import Tree
from littoral.trust.beliefs import Anchors
from littoral.trust.clock import TrustedClock
from littoral.wire.enrolment import Enrolled, EnrollRequest, Token
from littoral_agent import hardware, identity, owner
from littoral_agent.identity import Enrolment
from littoral_agent.origin import Origin, Repository

_MAX_CA: Final = 64 * 1024
_MAX_REPLY: Final = 64 * 1024
_MAX_ROOT: Final = 512_000

log = logging.getLogger(__name__)


def enroll(url: str, word: str, tree: Tree, *, name: str | None = None) -> Enrolment:
    """Enrol the device in ``tree`` with the console at ``url`` by the token ``word``.

    Raises:
        MisuseError: ``url`` is none, or ``name`` cannot be a device's.
        MalformedError: The token is cut short.
        UnreachableError: The console does not answer.
        TrustError: It is another console than the token's, or its fleet is another one.
        DeniedError: The token is unknown, used or over.
        StorageError: The identity cannot be kept.

    """
    token = Token.decode(word)
    if not re.fullmatch(r"https://[^/\s]+/?", url):
        raise MisuseError(f"expected the console's https://HOST:PORT for devices, found {url!r}")
    with durable.storage_errors(tree.root):
        owner.become(tree.root)
        tree.make()
    ca = _console_ca(url, token)
    origin = Origin(url, ca=ca)
    try:
        anchors = _trust(tree, origin, token)
        enrolled = _ask(tree, origin, token, name=name or _own_name())
    finally:
        origin.close()
    _check(tree, enrolled, anchors)
    who = identity.of(tree)
    enrolment = Enrolment(
        device=enrolled.device,
        fleet=enrolled.fleet,
        incarnation=enrolled.incarnation,
        url=url.rstrip("/"),
        broker=enrolled.broker,
        trust="token",
    )
    durable.replace(who.certificate, enrolled.certificate.encode(), mode=0o600)
    durable.replace(who.console_ca, ca.encode(), mode=0o600)
    who.write(enrolment)
    return enrolment


def _console_ca(url: str, token: Token) -> str:
    """Return the console's CA in PEM, which anybody may have sent: the token knows its digest."""
    origin = Origin(url, ca=None)
    try:
        pem = origin.get("enroll/ca", limit=_MAX_CA).granted("the console's CA").decode()
        der = ssl.PEM_cert_to_DER_cert(pem.strip())
    except ValueError as e:
        raise UnreachableError(f"{url}: this is no console: it has no CA") from e
    finally:
        origin.close()
    found = hashlib.sha256(der).hexdigest()
    if found != token.console_ca_sha256:
        raise TrustError(
            f"{url}: not the console that made this token, or the token is mistyped: expected a CA "
            f"with sha256 {token.console_ca_sha256[:12]}…, found {found[:12]}…; check the address, "
            "and paste the token whole"
        )
    # What else the answer held was not checked, and is not kept.
    return ssl.DER_cert_to_PEM_cert(der)


def _trust(tree: Tree, origin: Origin, token: Token) -> Anchors:
    """Hold the root whose digest the token carries; return whom the held root names."""
    from littoral.trust.client import Client, bootstrap
    from littoral.trust.rules import anchors

    fetch = Repository(origin)
    try:
        root = fetch("metadata/root.json", limit=_MAX_ROOT)
    except ForgottenError as e:
        raise UnreachableError(
            "the console has no repository yet; upload one, then enrol this device"
        ) from e
    bootstrap(tree.metadata, root, sha256=token.root_sha256)
    clock = TrustedClock(tree.clock)
    found = anchors(Client(tree.metadata, fetch, now=clock.under).root)
    if found.fleet != token.fleet:
        raise TrustError(
            f"{tree.metadata}: this device trusts the fleet {found.fleet!r}, and the token is of "
            f"{token.fleet!r}; a held root is never replaced: enrol with another --data"
        )
    return found


def _ask(tree: Tree, origin: Origin, token: Token, *, name: str) -> Enrolled:
    from littoral.trust.keys import new_device_key

    try:
        csr = new_device_key(tree.identity, name)
    except ValueError as e:
        raise MisuseError(f"{e}; name it with --name") from e
    request = EnrollRequest(
        secret=token.secret,
        device=name,
        serial=hardware.serial(),
        csr=csr,
        hardware=hardware.detect(),
        software=__version__,
    )
    reply = origin.post("enroll", records.to_json(request), limit=_MAX_REPLY)
    if reply.status >= http.HTTPStatus.MULTIPLE_CHOICES:
        raise DeniedError(
            f"the console does not admit this device: {reply.reason or f'status {reply.status}'}"
        )
    try:
        return records.from_json(Enrolled, reply.body, limit=_MAX_REPLY)
    except records.RecordError as e:
        raise MalformedError(f"{origin.url}: enrolled: {e}") from e


def _check(tree: Tree, enrolled: Enrolled, anchors: Anchors) -> None:
    """Check that the certificate is ours, and from the authority that root names.

    Raises:
        TrustError: It is not.

    """
    from littoral.trust.identity import check_device, digest, load_pem
    from littoral.trust.keys import load_private

    (root, *_) = load_pem(enrolled.device_ca, "device CA")
    if digest(root) != anchors.device_ca_sha256:
        raise TrustError(
            f"the console's device CA has sha256 {digest(root)[:12]}…; the fleet's root names "
            f"{anchors.device_ca_sha256[:12]}…: this console is not the fleet's"
        )
    who = check_device(enrolled.certificate, root=root, now=TrustedClock(tree.clock).now())
    named = (who.device, who.fleet, who.incarnation)
    said = (enrolled.device, enrolled.fleet, enrolled.incarnation)
    if named != said or who.fleet != anchors.fleet:
        raise TrustError(f"the certificate names {named}, and the console {said}")
    key = load_private(identity.of(tree).key).public_key()
    if who.certificate.public_key() != key:
        raise TrustError("the certificate is of another key than this device's")


def _own_name() -> str:
    """Return the host's name as a device may be called."""
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower()).strip("-")
    return name[:64] or "device"

"""Whom a token introduces: the console's CA, the root of all trust, and by that the device CA.

Nothing here is secret: what a token says is enough to know whether the right one answers.
"""

import contextlib
import hashlib
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Final

from littoral.errors import ForgottenError, MalformedError, TrustError, UnreachableError
from littoral.tree import Tree
from littoral.trust.beliefs import Anchors
from littoral.trust.clock import TrustedClock
from littoral.wire.enrolment import Enrolled, Token
from littoral_agent.hosts import Repository
from littoral_agent.identity import Identity
from littoral_agent.origin import Origin
from littoral_agent.routes import Proxy

_MAX_CA: Final = 64 * 1024
_MAX_ROOT: Final = 512_000


def console_ca(url: str, token: Token, *, proxy: Proxy | None = None) -> str:
    """Return the console's CA in PEM, which anybody may have sent: the token knows its digest.

    Raises:
        UnreachableError: Nobody answers, or no console does.
        TrustError: It is another's.

    """
    origin = Origin(url, ca=None, proxy=proxy)
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


def trust(tree: Tree, origin: Origin, token: Token) -> Anchors:
    """Hold the root whose digest the token carries; return whom the held root names.

    A device that held an earlier root already follows it to the present one first. Where it
    cannot, this console's certificates would be refused: better before the token is used.

    Raises:
        UnreachableError: The console has none yet.
        TrustError: It is another root, or the one that is held is of another fleet.

    """
    from littoral.trust.client import Client, bootstrap
    from littoral.trust.rules import anchors, held_root

    fetch = Repository(origin)
    try:
        root = fetch("metadata/root.json", limit=_MAX_ROOT)
    except ForgottenError as e:
        raise UnreachableError(
            "the console has no repository yet; upload one, then enrol this device"
        ) from e
    bootstrap(tree.metadata, root, sha256=token.root_sha256)
    clock = TrustedClock(tree.clock)
    client = Client(tree.metadata, fetch, now=clock.under)
    offered = anchors(held_root(root).signed)
    if anchors(client.root) != offered:
        with contextlib.suppress(TrustError, MalformedError):
            client.refresh()
    found = anchors(client.root)
    if found.fleet != token.fleet:
        raise TrustError(
            f"{tree.metadata}: this device trusts the fleet {found.fleet!r}, and the token is of "
            f"{token.fleet!r}; a held root is never replaced: enrol with another --data"
        )
    _same_authority(offered.device_ca_sha256, found)
    return found


def _same_authority(device_ca_sha256: str, held: Anchors) -> None:
    """Raise TrustError unless the console's device CA is the one that the held root names."""
    if device_ca_sha256 != held.device_ca_sha256:
        raise TrustError(
            f"the console's device CA has sha256 {device_ca_sha256[:12]}…; the root that this "
            f"device holds names {held.device_ca_sha256[:12]}…: this console is not the fleet's; "
            "another fleet is joined with an empty data folder"
        )


def check(
    new: Identity, enrolled: Enrolled, anchors: Anchors, *, now: Callable[[], datetime]
) -> None:
    """Check that the certificate is ours, and from the authority that root names.

    Raises:
        TrustError: It is not.

    """
    from littoral.trust.identity import check_device, digest, load_pem
    from littoral.trust.keys import load_private

    (root, *_) = load_pem(enrolled.device_ca, "device CA")
    _same_authority(digest(root), anchors)
    who = check_device(enrolled.certificate, root=root, now=now())
    named = (who.device, who.fleet, who.incarnation)
    said = (enrolled.device, enrolled.fleet, enrolled.incarnation)
    if named != said or who.fleet != anchors.fleet:
        raise TrustError(f"the certificate names {named}, and the console {said}")
    key = load_private(new.key).public_key()
    if who.certificate.public_key() != key:
        raise TrustError("the certificate is of another key than this device's")

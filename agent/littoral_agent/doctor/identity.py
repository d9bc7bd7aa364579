"""Who this device is: its certificate, its key, its board, and the root that it trusts."""

import itertools
import stat
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from littoral.errors import LittoralError, WrongBoardError
from littoral.trust.clock import TrustedClock
from littoral_agent import hardware
from littoral_agent import identity as identities
from littoral_agent.certificate import OLD
from littoral_agent.doctor.finding import Finding, Place, allowed, fail, ok, skip, warn
from littoral_agent.identity import Enrolment, Identity

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

ENROL: Final = "sudo littoral enroll https://CONSOLE:8443 --token lit1_…"
NOBODY: Final = f"not enrolled; to become a device of a fleet: {ENROL}"


def enrolment(place: Place) -> tuple[Identity, Enrolment | None]:
    """Return the identity's files, and who this device is.

    Raises:
        PermissionError: That is for root and the agent to know.
        StorageError: It cannot be read.

    """
    who = identities.of(place.tree)
    allowed(place.tree.root)
    allowed(who.folder)
    return who, who.read()


def enrolled(place: Place) -> Finding:
    """Check that the identity is whole, and of this board."""
    try:
        _, found = enrolment(place)
    except LittoralError as e:
        return fail("an enrolment", str(e), do=ENROL)
    if found is None:
        return skip(NOBODY)
    said = f"{found.device}, incarnation {found.incarnation}, of the fleet {found.fleet!r}"
    try:
        found.check_board(hardware.serial(place.root))
    except WrongBoardError as e:
        return fail(said, str(e), do=ENROL)
    if found.trust == "first-use":
        wrong = "whom it trusts was taken from the network as it came, not from its token"
        return warn(said, wrong, do=ENROL)
    return ok(said)


def certificate(place: Place) -> Finding:
    """Check that the certificate is of this key and this device, and how long it lasts."""
    who, found = enrolment(place)
    if found is None:
        return skip("not enrolled")
    from cryptography.exceptions import InvalidSignature

    from littoral.trust.identity import load_pem
    from littoral.trust.keys import load_private

    try:
        chain = load_pem(who.certificate.read_text(), str(who.certificate))
        key = load_private(who.key)
        for issued, issuer in itertools.pairwise(chain):
            issued.verify_directly_issued_by(issuer)
    except (OSError, LittoralError, ValueError, TypeError, InvalidSignature) as e:
        return fail("a certificate", f"it cannot be used: {e}", do=ENROL)
    if key.public_key() != chain[0].public_key():
        return fail("a certificate", "it is of another key than this device's", do=ENROL)
    if (mode := stat.S_IMODE(who.key.stat().st_mode)) & 0o077:
        wrong = f"others may read the key: {who.key} is {mode:04o}"
        return fail("a certificate", wrong, do=f"sudo chmod 600 {who.key}")
    return judge_life(chain[0], now=TrustedClock(place.tree.clock).now())


def judge_life(leaf: "Certificate", *, now: datetime) -> Finding:
    """Say how long ``leaf`` still lasts."""
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    name = leaf.subject.rfc4514_string()
    said = f"{name}, until {end:%Y-%m-%d}"
    if now >= end:
        return fail(said, f"it ended, and it is {now:%Y-%m-%d}", do=ENROL)
    if end - now < (end - begin) * OLD:
        wrong = f"it ends in {(end - now) / timedelta(days=1):.0f} days"
        return warn(said, wrong, do="let the device reach its console: the agent renews it")
    return ok(said)


def root(place: Place) -> Finding:
    """Check that there is a root of trust, and how long it lasts."""
    _, found = enrolment(place)
    if found is None:
        return skip("not enrolled")
    from tuf.api.metadata import Root

    from littoral.trust.metadata import parse
    from littoral.trust.rules import anchors

    try:
        data = (place.tree.metadata / "root.json").read_bytes()
        held = parse(Root, data, "root.json").signed
        fleet = anchors(held).fleet
    except PermissionError:
        raise
    except (OSError, LittoralError) as e:
        return fail("no root that can be read", str(e), do=ENROL)
    now = TrustedClock(place.tree.clock).now()
    said = f"root {held.version} of the fleet {fleet!r}, until {held.expires:%Y-%m-%d}"
    if fleet != found.fleet:
        return fail(said, f"the device is of the fleet {found.fleet!r}", do=ENROL)
    if now >= held.expires:
        return fail(
            said,
            "it ended: nothing new is believed; what runs goes on",
            do="where the keys of root are: littoral repo extend DIR --offline DIR; then upload it",
        )
    return ok(said)

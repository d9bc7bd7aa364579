"""How the device's connections are secured: by the console's CA and by name, not by dates.

A board without a clock would refuse every certificate after a power cut. What is signed
bears its own dates, which the trusted clock judges; the connection only has to be with
someone whom the console's CA named.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral.errors import SettingsError, StorageError

NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name


@dataclass(frozen=True, slots=True)
class Public:
    """Whom this system believes, for servers that are not the console; and who is in ``more``."""

    more: Path | None = None


def context(
    ca: Path | str | Public | None, *, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return how to connect to whom ``ca`` named, a file or PEM; None: to anybody, unbelieved.

    Raises:
        StorageError: A certificate or the key cannot be read.
        SettingsError: ``sources_ca`` cannot.

    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_flags = ssl.VerifyFlags(int(made.verify_flags) | NO_CHECK_TIME)
    if ca is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made
    if isinstance(ca, Public):
        _believe(made, ca)
        return made
    try:
        if isinstance(ca, str):
            made.load_verify_locations(cadata=ca)
        else:
            made.load_verify_locations(ca)
        if certificate is not None:
            made.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as e:
        raise StorageError(
            f"{ca}: the identity cannot be read ({e}); run 'littoral enroll' again"
        ) from e
    return made


def _believe(made: ssl.SSLContext, public: Public) -> None:
    made.load_default_certs()
    if public.more is None:
        return
    try:
        made.load_verify_locations(public.more)
    except (OSError, ssl.SSLError) as e:
        raise SettingsError(f"sources_ca: {public.more}: no certificates in PEM ({e})") from e

"""How the device's connections are secured: by the console's CA and by name, not by dates.

A board without a clock would refuse every certificate after a power cut. What is signed
bears its own dates, which the trusted clock judges; the connection only has to be with
someone whom the console's CA named.
"""

import ssl
from pathlib import Path
from typing import Final

from littoral.errors import StorageError

NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name


def context(
    ca: Path | str | None, *, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return how to connect to whom ``ca`` named, a file or PEM; None: to anybody, unbelieved.

    Raises:
        StorageError: A certificate or the key cannot be read.

    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_flags = ssl.VerifyFlags(int(made.verify_flags) | NO_CHECK_TIME)
    if ca is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
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

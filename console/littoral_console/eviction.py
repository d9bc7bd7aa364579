"""Ends a device's connection to the broker, by taking its place there for a moment.

A broker that is told whom to deny keeps a connection that stands: denied while the denial
lasts, and believed again after it, under whatever certificate it was opened. But whoever
connects under a client id ends the connection that had it, on every broker. So the console
does, by a certificate that it issues itself for minutes, and leaves at once.
"""

import logging
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aiomqtt

from littoral.trust import certificates
from littoral.trust.keys import DEVICE_KEY, new_device_key
from littoral_console.relay import Relay, client_context
from littoral_console.renewal import Issuer

_LIFE: Final = timedelta(minutes=5)
_TIMEOUT_S: Final = 5.0
_log = logging.getLogger(__name__)


async def evict(device: str, *, relay: Relay, issuer: Issuer) -> None:
    """End the connection of ``device``, and its session with what waited in it.

    Where the broker is away there is none: then this is done as well.
    """
    host, port = relay.where()
    try:
        with tempfile.TemporaryDirectory(prefix="littoral-") as folder:
            context = client_context(relay.tls, shown=_certificate(Path(folder), device, issuer))
        async with aiomqtt.Client(
            host,
            port,
            identifier=device,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            timeout=_TIMEOUT_S,
            tls_context=context,
        ):
            pass
    except (aiomqtt.MqttError, OSError) as e:
        _log.warning("%s: a connection of before may still stand at the broker: %s", device, e)


def _certificate(folder: Path, device: str, issuer: Issuer) -> tuple[Path, Path]:
    chain = certificates.issue_device(
        new_device_key(folder, device),
        fleet=issuer.fleet,
        device=device,
        incarnation=1,  # a broker does not ask
        ca=issuer.authority,
        now=datetime.now(UTC),
        life=_LIFE,
    )
    certificate = folder / "device.crt"
    certificate.write_text(chain)
    return certificate, folder / DEVICE_KEY

"""One connection to a broker: how it is opened, read, and found to be dead.

It knows paho, and nothing of what is said over the connection.
"""

import math
import socket
import ssl
from typing import TYPE_CHECKING, Final

from littoral import addresses
from littoral.errors import UnreachableError
from littoral_agent import drip, tunnel
from littoral_agent.denial import by_broker
from littoral_agent.routes import Proxy
from littoral_agent.verdict import REVOKED

if TYPE_CHECKING:
    from paho.mqtt.client import Client

CONNECT_S: Final = 10.0
ANSWER_S: Final = 30.0  # of a broker that has connected: two round trips, and a queue before them
SHORT_S: Final = 3600.0  # a connection that ends sooner may have been forgotten by a router: …
LEAST_KEEPALIVE_S: Final = 240.0  # … it is proven twice as often from then on, down to this
UNHEARD_S: Final = 60  # what was sent and nobody confirmed for so long ends the connection
SESSION_S: Final = 7 * 24 * 3600  # how long the broker keeps what we have not heard


def new(
    device: str,
    *,
    secured: ssl.SSLContext,
    will: tuple[str, bytes],
    proxy: Proxy | None = None,
) -> "Client":
    """Return a client that is not connected yet; ``will`` is a topic and what is retained there."""
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    kind = Client if proxy is None else _tunnelled(proxy)
    client = kind(CallbackAPIVersion.VERSION2, device, protocol=MQTTv5)
    client.connect_timeout = CONNECT_S
    client.tls_set_context(secured)
    client.will_set(*will, qos=1, retain=True)
    return client


def connect(client: "Client", host: str, port: int, *, keepalive_s: float) -> None:
    """Open the connection; the broker's answer comes later.

    Raises:
        UnreachableError: Nobody answers, or not the console's broker.
        DeniedError: It believes the certificate no more.

    """
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    session.SessionExpiryInterval = SESSION_S
    where = addresses.join(host, port)
    try:
        client.connect(host, port, math.ceil(keepalive_s), clean_start=False, properties=session)
    except (OSError, ValueError) as e:
        if REVOKED in str(e):
            raise by_broker(where) from e
        hint = "; is it the console's broker?" if isinstance(e, ssl.SSLError) else ""
        raise UnreachableError(f"the broker at {where} does not answer ({e}){hint}") from e
    _give_up_after(client, UNHEARD_S)


def read(client: "Client") -> None:
    """Take every packet that has arrived, those too that TLS has already decrypted.

    Raises:
        UnreachableError: What is there speaks no MQTT.

    """
    try:
        client.loop_read()
        while isinstance(opened := client.socket(), ssl.SSLSocket) and opened.pending():
            client.loop_read()
    except (ValueError, LookupError) as e:  # of paho, where it does not look before it reads
        raise UnreachableError(f"the broker sent what is no MQTT: {e}") from e


def received(client: "Client") -> int:
    """Return how many bytes have come over the connection, as the kernel counts them."""
    opened = client.socket()
    return drip.received(opened) if isinstance(opened, socket.socket) else 0


def keepalive_after(lived_s: float, keepalive_s: float) -> float:
    """Return the keepalive of the connection that follows one which ended by itself.

    A router that forgets idle connections costs a handshake each time: a proof that one is
    there costs a thirtieth of that.
    """
    if lived_s >= SHORT_S or keepalive_s <= LEAST_KEEPALIVE_S:
        return keepalive_s
    return max(LEAST_KEEPALIVE_S, keepalive_s / 2)


def _tunnelled(proxy: Proxy) -> "type[Client]":
    """Return a client whose connections go through ``proxy``."""
    from paho.mqtt.client import Client

    class Tunnelled(Client):
        def _create_socket_connection(self) -> socket.socket:
            if not proxy.serves(self.host):
                return super()._create_socket_connection()
            return tunnel.connect(proxy, self.host, self.port, within_s=CONNECT_S)

    return Tunnelled


def _give_up_after(client: "Client", seconds: int) -> None:
    """Let the kernel end a connection that has died in silence: keepalives come too seldom."""
    opened = client.socket()
    if isinstance(opened, socket.socket) and hasattr(socket, "TCP_USER_TIMEOUT"):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)

"""HTTP as the console's listeners speak it, over TLS as devices do."""

import http.client
import ssl

from simulators.console import ConsoleProcess


def test_a_connection_leaves_no_word_in_the_log(console: ConsoleProcess) -> None:
    """TLS has its tickets to send when it is made, which is no answer that waits."""
    log = console.base / "console.log"
    before = log.stat().st_size
    host, _, port = console.ready["devices"].removeprefix("https://").rpartition(":")
    for _ in range(3):
        context = ssl.create_default_context(cafile=str(console.data / "tls" / "console-ca.crt"))
        link = http.client.HTTPSConnection(host, int(port), context=context)
        link.request("GET", "/repo/metadata/root.json")
        assert link.getresponse().status == http.client.OK
        link.close()
    assert log.read_bytes()[before:] == b""

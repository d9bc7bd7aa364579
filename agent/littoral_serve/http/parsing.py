"""HTTP's parser, for which HTTP goes on where another protocol is asked for as well.

A server may answer in HTTP then (RFC 9110, 7.8), and some clients ask for HTTP/2 so with their
first request, whatever that is. httptools takes what follows such a head for the other protocol:
the head is parsed anew, without its asking, and what follows as its body.
"""

from typing import Any, Final

import httptools

_ASKS: Final = (b"upgrade", b"connection")


class Parser:
    """``told`` is told what there is by its methods ``on_…``, as httptools calls them."""

    def __init__(self, told: Any) -> None:  # noqa: ANN401 (httptools looks which it has)
        self._told = told
        self._one = httptools.HttpRequestParser(told)
        self._anew = b""

    def feed(self, data: bytes) -> bool:
        """Parse ``data``; tell whether it is HTTP, and nobody who was told stopped it."""
        left: bytes | memoryview = data
        try:
            while (behind := self._fed(left)) is not None:
                self._one = httptools.HttpRequestParser(self._told)
                anew, self._anew, left = self._anew, b"", behind
                self._one.feed_data(anew)
        except httptools.HttpParserError:
            return False
        return True

    def _fed(self, data: bytes | memoryview) -> memoryview | None:
        """Parse ``data``, and return what is behind a head that asks for another protocol."""
        try:
            self._one.feed_data(data)
        except httptools.HttpParserUpgrade as e:
            return memoryview(data)[e.args[0] :]
        return None

    @property
    def method(self) -> bytes:
        found: bytes = self._one.get_method()
        return found

    @property
    def keeps_alive(self) -> bool:
        """Tell whether the connection goes on behind this request."""
        return bool(self._one.should_keep_alive() and self._one.get_http_version() == "1.1")

    def declines(self, target: bytes, headers: dict[bytes, bytes]) -> bool:
        """Tell whether this is the end of a head only, from which another protocol may go on.

        To be asked where a request is whole. Of such a head ``feed`` makes one that asks for HTTP.
        """
        if not self._one.should_upgrade():
            return False
        lines = [b"%s %s HTTP/1.1" % (self.method, target)]
        lines += [b"%s: %s" % one for one in headers.items() if one[0] not in _ASKS]
        if not self.keeps_alive:
            lines.append(b"connection: close")
        self._anew = b"\r\n".join(lines) + b"\r\n\r\n"
        return True

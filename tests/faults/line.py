"""A line between a device and its console, whose weather a test makes: packets through our hands.

line = Line(device_fd, {"console": shore_fd, "portal": portal_fd})
line.start()
line.weather = Weather(loss=0.3)          # from the next packet on
line.cut()                                # every connection is reset, now
line.came(8443)                           # bytes and connections, from that port of the console

Both ends are TUN devices, each in a network namespace of its own; what lies between is a queue
in this process, on any kernel. Bytes are counted once, however often TCP has to send them.
"""

import heapq
import itertools
import os
import random
import select
import threading
import time
from dataclasses import dataclass, field
from typing import Final, Literal

from faults.line_packets import ACK, RST, SYN, TCP, Packet, after, read, segment

End = Literal["device", "console", "portal"]

_MOST_BYTES: Final = 2048  # more than any packet: the TUN devices take 1,500
_QUEUE_S: Final = 1.0  # of a line that is full; what comes on top is lost, as in any router
_DRIP_AHEAD: Final = 64 * 1024  # bytes that wait for a drip: as much as a small router holds
_NEVER_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What the line does to packets. Without anything said it is a good one."""

    bytes_per_s: float = 0.0  # each way; 0: as fast as they come
    drip_bytes_per_s: float = 0.0  # of TCP's payload to the device, byte by byte
    delay_s: float = 0.0  # each way
    jitter_s: float = 0.0  # more, at random: packets overtake one another
    loss: float = 0.0  # each way, of all packets
    cut_after: int = 0  # bytes to the device after which a connection is cut; 0: never
    silently: bool = False  # how: without a word, or with a reset to both ends
    down: bool = False
    shut: frozenset[int] = frozenset()  # ports of the console to which nothing gets through
    portal: bool = False  # somebody else answers under the console's address


@dataclass(frozen=True, slots=True)
class Came:
    """What came to the device: bytes of payload, each once, and connections."""

    bytes: int = 0
    connections: int = 0


@dataclass(slots=True)
class Flow:
    """One connection, known by the device's port and the console's."""

    device: int
    console: int
    last: dict[bool, Packet] = field(default_factory=dict)  # the newest, by whether it goes down
    next: dict[bool, int] = field(default_factory=dict)  # number of the byte that follows
    first: dict[bool, int] = field(default_factory=dict)
    cut: bool = False

    def bytes(self, *, down: bool) -> int:
        """Return how many bytes of payload went through, each once."""
        if down not in self.next:
            return 0
        return max(0, after(self.next[down], self.first[down]))


class Line(threading.Thread):
    """Carries packets until stopped. ``weather`` may be changed at any moment."""

    def __init__(self, device: int, shores: dict[End, int], *, seed: int = 7) -> None:
        super().__init__(name="line", daemon=True)
        self.weather = Weather()
        self.carried = self.lost = 0  # packets
        self._ends: dict[End, int] = {"device": device, **shores}
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._flows: dict[tuple[int, int], Flow] = {}
        self._ended: list[Flow] = []
        self._queue: list[tuple[float, int, End, bytes]] = []
        self._numbers = itertools.count()
        self._free_s = {True: 0.0, False: 0.0}  # when each way is done with what it carries
        self._drips: dict[tuple[int, int], _Drip] = {}
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        os.write(self._woken, b"!")
        self.join(10)
        for fd in (self._wake, self._woken, *self._ends.values()):
            os.close(fd)

    def cut(self, port: int = 0) -> int:
        """Reset every connection (to ``port`` of the console); return how many there were."""
        with self._lock:
            live = [one for one in self._flows.values() if not one.cut and port in {0, one.console}]
            for flow in live:
                self._cut(flow)
        os.write(self._woken, b"!")
        return len(live)

    def came(self, port: int) -> Came:
        """Return what came to the device from ``port`` of the console."""
        with self._lock:
            flows = [one for one in (*self._ended, *self._flows.values()) if one.console == port]
            return Came(sum(one.bytes(down=True) for one in flows), len(flows))

    def run(self) -> None:
        poller = select.poll()
        names = {fd: name for name, fd in self._ends.items()}
        for fd in (*names, self._wake):
            poller.register(fd, select.POLLIN)
        while not self._stopping:
            for fd, _ in poller.poll(self._due_in_s() * 1000):
                if fd == self._wake:
                    os.read(fd, 4096)
                else:
                    self._taken(names[fd], os.read(fd, _MOST_BYTES))
            self._deliver()

    def _due_in_s(self) -> float:
        with self._lock:
            dues = [self._queue[0][0]] if self._queue else []
            dues += [one.due_s for one in self._drips.values() if one.waits]
        return min(_NEVER_S, max(0.0, min(dues, default=1e9) - time.monotonic()))

    def _taken(self, came_from: End, raw: bytes) -> None:
        """Take a packet: count it, and queue, change or lose it."""
        weather, packet, down = self.weather, read(raw), came_from != "device"
        port = packet.source if down else packet.target
        here: End = "portal" if weather.portal else "console"
        with self._lock:
            flow = self._flow(packet, down=down) if packet.protocol == TCP else None
            silent = weather.down or port in weather.shut or (down and came_from != here)
            if silent or (flow is not None and flow.cut):
                self.lost += 1
                return
            if weather.loss and self._chance.random() < weather.loss:
                self.lost += 1
                return
            if flow is not None and down and weather.drip_bytes_per_s and packet.payload:
                self._drip(flow, packet, weather.drip_bytes_per_s)
                return
            self._send("device" if down else here, raw, down=down, weather=weather)
            if flow is not None:
                self._passed(flow, packet, down=down)
                if down and weather.cut_after and flow.bytes(down=True) >= weather.cut_after:
                    self._cut(flow, silently=weather.silently)

    def _flow(self, packet: Packet, *, down: bool) -> Flow:
        """Return the connection of ``packet``; a new one that begins ends its namesake."""
        ports = (packet.target, packet.source) if down else (packet.source, packet.target)
        begins = not down and packet.flags & (SYN | ACK) == SYN
        known = self._flows.get(ports)
        if known is None or (begins and known.next.get(False, packet.end) != packet.end):
            if known is not None:
                self._ended.append(known)
            self._drips.pop(ports, None)
            known = self._flows[ports] = Flow(*ports)
        return known

    def _passed(self, flow: Flow, packet: Packet, *, down: bool) -> None:
        end = packet.end
        flow.first.setdefault(down, end if packet.flags & SYN else packet.sequence)
        if down not in flow.next or after(end, flow.next[down]) > 0:
            flow.next[down] = end
        flow.last[down] = packet

    def _cut(self, flow: Flow, *, silently: bool = False) -> None:
        """End a connection for both of its ends: each hears it in the other's name."""
        flow.cut = True
        if silently:
            return
        for down, last in flow.last.items():
            raw = segment(last, sequence=flow.next[down], flags=RST | ACK)
            where: End = "device" if down else "console"
            # Behind all that it was sent before: out of its turn, nobody would believe it.
            self._send(where, raw, down=down, weather=self.weather, whatever=True)

    def _send(
        self, where: End, raw: bytes, *, down: bool, weather: Weather, whatever: bool = False
    ) -> None:
        """Queue a packet for when it will be there, unless the queue is full."""
        now = begins = time.monotonic()
        if weather.bytes_per_s:
            begins = max(now, self._free_s[down])
            if begins - now > _QUEUE_S and not whatever:
                self.lost += 1
                return
            self._free_s[down] = begins = begins + len(raw) / weather.bytes_per_s
        due_s = begins + weather.delay_s + self._chance.uniform(0, weather.jitter_s)
        heapq.heappush(self._queue, (due_s, next(self._numbers), where, raw))

    def _drip(self, flow: Flow, packet: Packet, bytes_per_s: float) -> None:
        """Let what is new in ``packet`` wait for its turn, byte by byte."""
        held = self._drips.setdefault((flow.device, flow.console), _Drip(flow, packet.sequence))
        held.take(packet)
        held.every_s = 1 / bytes_per_s

    def _deliver(self) -> None:
        """Hand over whatever is due."""
        now = time.monotonic()
        with self._lock:
            self._drop_by_drop(now)
            due = []
            while self._queue and self._queue[0][0] <= now:
                due.append(heapq.heappop(self._queue)[2:])
        for where, raw in due:
            self.carried += 1
            try:
                os.write(self._ends[where], raw)
            except OSError:  # that end is down
                self.lost += 1

    def _drop_by_drop(self, now: float) -> None:
        for held in self._drips.values():
            if held.flow.cut or self.weather.down or not self.weather.drip_bytes_per_s:
                held.waiting.clear()  # TCP sends it again
            while held.waits and held.due_s <= now:
                raw = held.next()
                self._send("device", raw, down=True, weather=self.weather)
                self._passed(held.flow, read(raw), down=True)


@dataclass(slots=True)
class _Drip:
    """What of one connection waits to be given byte by byte."""

    flow: Flow
    sequence: int  # of the first byte that waits
    every_s: float = 1.0
    due_s: float = 0.0
    waiting: bytearray = field(default_factory=bytearray)
    like: Packet | None = None

    @property
    def waits(self) -> bool:
        return bool(self.waiting)

    def take(self, packet: Packet) -> None:
        """Append what follows on what waits: TCP sends again what comes too early."""
        if not self.waiting:
            self.sequence = packet.sequence
            given = self.flow.next.get(True, packet.sequence)
            if after(given, self.sequence) > 0:
                self.sequence = given
        known = after(self.sequence + len(self.waiting), packet.sequence)
        if 0 <= known < len(packet.payload) and len(self.waiting) < _DRIP_AHEAD:
            self.waiting += packet.payload[known:]
        self.like = packet

    def next(self) -> bytes:
        assert self.like is not None
        self.due_s = max(self.due_s, time.monotonic()) + self.every_s
        byte = bytes(self.waiting[:1])
        del self.waiting[:1]
        raw = segment(self.like, sequence=self.sequence, flags=ACK, payload=byte)
        self.sequence = (self.sequence + 1) % 2**32
        return raw

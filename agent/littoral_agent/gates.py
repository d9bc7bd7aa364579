"""Whether this device may begin something now: its windows, its network, and its month's bytes.

What must wait is no refusal: it is told until when, and taken up again then.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from littoral.errors import ClosedError, MeteredError
from littoral.waits import moment
from littoral_agent import windows
from littoral_agent.metered import metered
from littoral_agent.pace import Rate
from littoral_agent.settings import Settings
from littoral_agent.usage import Usage
from littoral_agent.windows import Window

LOCAL: Final = Path("/etc/localtime")
_LAST: Final = datetime.max.replace(tzinfo=UTC)  # where calendars end


def _now() -> datetime:
    return datetime.now(UTC)


class Gates:
    """What has to be passed; without settings, all of it is open. Threads may share it.

    ``now`` is the trusted clock's; ``sure`` says whether that is the time, and no lower bound.
    ``metered`` says whether the network is, and ``patience_s`` for how long another is waited for.
    """

    def __init__(
        self,
        *,
        opening: tuple[Window, ...] = (),
        zone: tzinfo = UTC,
        usage: Usage | None = None,
        rate: Rate | None = None,
        metered: Callable[[], bool] = lambda: False,
        patience_s: float = 0.0,
        now: Callable[[], datetime] = _now,
        sure: Callable[[], bool] = lambda: True,
    ) -> None:
        self._opening, self._zone = opening, zone
        self.usage, self.rate = usage, rate
        self._metered, self._patience_s = metered, patience_s
        self._now, self._sure = now, sure

    def now(self) -> datetime:
        return self._now()

    def check_window(self) -> None:
        """Do nothing if a window is open, or there are none. Raises ClosedError."""
        if not self._opening:
            return
        if not self._sure():
            raise ClosedError(
                "nobody has told this device the time, so no maintenance window is open; "
                "let it reach its console",
                until=None,
            )
        until = windows.opens(self._opening, self._zone, self._now())
        if until is not None:
            raise ClosedError(
                "no maintenance window is open; the next one opens at "
                f"{until.astimezone(self._zone):%Y-%m-%d %H:%M %Z} ({until:%H:%M} UTC)",
                until=until,
            )

    def check_network(self, until_ms: int | None) -> None:
        """Do nothing if files may come over the network that is there.

        ``until_ms`` is until when another one is waited for, None where that begins now.

        Raises:
            MeteredError: It is metered.

        """
        if self._patience_s <= 0:
            return
        now = self._now()
        until = moment(until_ms) if until_ms is not None else self._patient(now)
        if now < until and self._metered():
            known = until < _LAST
            ends = f" until {until:%Y-%m-%d %H:%M} UTC" if known else ""
            raise MeteredError(
                f"the network is metered; it waits for another one{ends}, or for a stick",
                until=until if known else None,
            )

    def _patient(self, now: datetime) -> datetime:
        try:
            return now.astimezone(UTC) + timedelta(seconds=self._patience_s)
        except OverflowError:
            return _LAST

    def check_bytes(self, needed: int) -> None:
        """Do nothing if ``needed`` bytes may be brought. Raises as Usage.check."""
        if self.usage is not None and needed > 0:
            self.usage.check(needed)


def of(
    settings: Settings, path: Path, *, now: Callable[[], datetime], sure: Callable[[], bool]
) -> Gates:
    """Return the gates that ``settings`` set up; ``path`` is where the month's bytes are kept."""
    most, rate = settings.bytes_per_month, settings.max_rate_bytes_per_s
    patience_s = 0.0 if most or settings.metered == "no" else settings.metered_wait_s
    return Gates(
        opening=tuple(map(Window.parse, settings.windows)),
        zone=place(settings.zone) if settings.windows else UTC,
        usage=Usage(path, most_bytes=most, now=now, sure=sure) if most else None,
        rate=Rate(rate) if rate else None,
        metered=metered if settings.metered == "auto" else lambda: True,
        patience_s=patience_s,
        now=now,
        sure=sure,
    )


def place(zone: str, *, local: Path = LOCAL) -> tzinfo:
    """Return the time zone of that name; of no name, the system's, which may have none."""
    from zoneinfo import ZoneInfo  # what most devices need not load

    if zone:
        return ZoneInfo(zone)
    try:
        with local.open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError):
        return UTC

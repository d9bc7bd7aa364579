"""What can be set in agent.toml. A number carries its unit in its name.

A device that is enrolled needs no file at all: who it is and where the console is stands
in its identity.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from littoral import settings, tree
from littoral.bundle.manifest import Hardware, check_id
from littoral.tree import Tree
from littoral_agent import routes
from littoral_agent.routes import Proxy
from littoral_agent.windows import Window

MiB: Final = 2**20
DATA: Final = tree.DATA
HTTPS: Final = "https"  # the console's own repository, among the sources
MQTT: Final = "mqtt"  # the same, over the broker
COPIES: Final = ("https://", "http://")  # before a copy's address, among the sources
FOLDER: Final = "dir:"  # before a folder's path, among the sources
ETC: Final = Path("/etc/littoral/agent.toml")  # of the device in DATA

_ABOVE_ZERO: Final = (
    "status_every_s",
    "poll_every_s",
    "serve_poll_s",
    "retry_first_s",
    "denied_retry_s",
    "telemetry_window_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the agent, with what it is when nobody sets it."""

    hardware: tuple[Hardware, ...] = ()  # what models may run on; empty: what is found here
    channel: Literal["auto", "mqtt", "https"] = "auto"  # auto: https while no broker answers
    sources: tuple[str, ...] = ("https",)  # of releases, in order: https, mqtt, https://…, dir:/…
    sources_ca: str = ""  # a file of CAs in PEM, beside the system's: for all but the console
    proxy: str = ""  # as http://user@host:port: to console, sources and broker, but not to loopback
    proxy_secret: str = ""  # a file with its password, which not everybody here may read
    proxy_beside: tuple[str, ...] = ()  # hosts that need none, as nas.lan; .lan: all below it
    fallback_after_s: float = 20.0  # how long auto waits for the broker
    status_every_s: float = 21600.0  # it is said when it changes, and again after so long
    keepalive_s: float = 1000.0  # of the connection to a broker; longer than a window, none is sent
    poll_every_s: float = 60.0  # over https: the longest pause after a failed poll
    serve_poll_s: float = 1.0  # how often serve is looked at
    probation_s: float = 300.0  # how long a candidate is watched before it is good
    probation_requests: int = 20  # fewer than these prove nothing: it is probed instead
    probation_error_rate: float = 0.02  # of its own errors; above it a candidate fails
    probation_p95_ratio: float = 2.0  # times the p95 of the release before, …
    probation_p95_slack_us: float = 2000.0  # … and this much more: slower than both is too slow
    trial_deadline_s: float = 60.0  # for the self-test in a child
    engine_deadline_s: float = 1800.0  # more than that, where TensorRT builds an engine in it
    telemetry_window_s: float = 900.0  # one batch of latencies
    telemetry_probation_window_s: float = 60.0  # while any candidate is on probation
    keep: int = 2  # releases that were good before and whose files stay
    pinned: tuple[str, ...] = ()  # more of these, as "digits:1", for as long as the model is named
    disk_reserve_bytes: int = 64 * MiB  # of free space that no download touches
    spool_cap_bytes: int = 16 * MiB  # of telemetry that waits for the console, oldest dropped first
    min_rate_bytes_per_s: float = 256.0  # a source that gives less over half a minute is slow
    max_rate_bytes_per_s: float = 0.0  # all downloads of files together; 0: as fast as they come
    bytes_per_month: int = 0  # of files that may come over the network; 0: any number
    metered: Literal["auto", "yes", "no"] = "auto"  # is the network; auto: as the system says
    metered_wait_s: float = 86400.0  # for one that is not, unless bytes_per_month is set; 0: none
    windows: tuple[str, ...] = ()  # as "mon-fri 01:00-05:00": when releases may be taken on
    zone: str = ""  # whose times these are, as Europe/Berlin; empty: the system's
    retry_first_s: float = 1.0  # after what may pass: the first pause, doubled up to …
    retry_most_s: float = 300.0  # … this one, with jitter
    denied_retry_s: float = 60.0  # after the console hears this device no more; doubled to an hour
    refused_retry_s: float = 900.0  # before what was refused is looked at again; doubled to a day

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_gates()
        self._check_sources()
        self._check_names()

    def pinned_of(self, model: str) -> frozenset[int]:
        """Return the releases of ``model`` that are pinned."""
        return frozenset(release for name, release in map(_pin, self.pinned) if name == model)

    def _check_numbers(self) -> None:
        for name in _ABOVE_ZERO:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name!r} should be above zero")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"{field.name!r} should be 0 or more")
        if not 5 <= self.keepalive_s <= 3600:  # noqa: PLR2004
            raise ValueError("'keepalive_s' should be 5 to 3600")
        if not 0 <= self.keep <= 16:  # noqa: PLR2004
            raise ValueError("'keep' should be 0 to 16")

    def _check_sources(self) -> None:
        if not self.sources:
            raise ValueError("'sources' should name one at least")
        for source in self.sources:
            if not source.isprintable():
                raise ValueError(
                    f"'sources': expected words as people write them, found {source!r}"
                )
            if source.startswith(COPIES):
                _checked("sources", routes.check_copy, source)
            elif source not in {HTTPS, MQTT} and not source.startswith(f"{FOLDER}/"):
                raise ValueError(
                    f"'sources': expected '{HTTPS}', '{MQTT}', 'https://…' or '{FOLDER}/…', "
                    f"found {source!r}"
                )
        for source, again in Counter(one.rstrip("/") for one in self.sources).items():
            if again > 1:
                raise ValueError(f"'sources' names {source!r} {again} times")
        if MQTT in self.sources and self.channel == "https":
            raise ValueError(f"'sources': '{MQTT}' needs a broker; set 'channel' to auto or mqtt")

    def _check_names(self) -> None:
        _checked("proxy", lambda _: self.through, self.proxy)
        for text in self.pinned:
            try:
                _pin(text)
            except ValueError as e:
                raise ValueError(f"'pinned': expected as 'digits:1', found {text!r} ({e})") from e

    def _check_gates(self) -> None:
        if self.max_rate_bytes_per_s and self.max_rate_bytes_per_s <= self.min_rate_bytes_per_s:
            raise ValueError("'max_rate_bytes_per_s' should be more than 'min_rate_bytes_per_s'")
        for text in self.windows:
            try:
                Window.parse(text)
            except ValueError as e:
                raise ValueError(f"'windows': {e}") from e
        if self.zone and not is_zone(self.zone):
            raise ValueError(
                f"'zone': no time zone {self.zone[:60]!r} is known here; they are called as "
                "Europe/Berlin, and come with Debian's package tzdata"
            )

    @property
    def through(self) -> Proxy | None:
        """Return the proxy, None if there is none."""
        return routes.proxy(self.proxy, secret=self.proxy_secret, beside=self.proxy_beside)

    @property
    def disk_low_bytes(self) -> int:
        """Return the free space below which there is not much left for the next model."""
        return 2 * self.disk_reserve_bytes


def read(tree: Tree, path: Path | None = None) -> Settings:
    """Return the settings in ``path``, else in the data folder, else the defaults.

    This machine's own device is also asked in /etc/littoral, where its package puts them.

    Raises:
        SettingsError: One is unknown or of the wrong kind; ``path`` was given and is not there.

    """
    path = path or next((place for place in places(tree) if place.exists()), None)
    return Settings() if path is None else settings.read(Settings, path)


def is_zone(name: str) -> bool:
    """Whether the system knows a time zone of that name."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def places(device: Tree) -> tuple[Path, ...]:
    """Return where the settings may stand; the first file that is there is read, alone."""
    return (device.settings, ETC) if device.root == DATA else (device.settings,)


def data_folder() -> Path:
    """Return where a device's data lies unless it is said: $LITTORAL_DATA, else /var/lib."""
    return Path(os.environ.get(tree.VARIABLE) or DATA)


def _checked(name: str, check: Callable[[str], object], text: str) -> None:
    try:
        check(text)
    except ValueError as e:
        raise ValueError(f"{name!r}: {e}") from e


def _pin(text: str) -> tuple[str, int]:
    model, _, release = text.partition(":")
    check_id("model", model)
    return model, int(release)

"""Where releases come from, in the order in which it is asked: the console, copies, folders.

It believes nothing. What one does not have, or has in a way that is refused, the next may have.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from littoral.errors import (
    BundleError,
    DeniedError,
    LittoralError,
    PostponedError,
    StaleError,
    TrustError,
    UnreachableError,
)
from littoral_agent import settings
from littoral_agent.folder import Folder
from littoral_agent.hosts import Hosts, Repository, copy
from littoral_agent.origin import Origin
from littoral_agent.streams import Stream, Streams
from littoral_agent.tls import Public

if TYPE_CHECKING:
    from littoral_agent.blocks import Blocks

REFUSALS: Final = (TrustError, BundleError, DeniedError)  # whom to ask was there, and it is no use

T = TypeVar("T")


class Source(Streams, Protocol):
    """One way to a repository: a littoral.trust.client.Fetch that also gives parts of files."""

    @property
    def offline(self) -> bool:
        """Whether it is reached without a network."""

    def __str__(self) -> str:
        """Return what people call it."""

    @property
    def lags(self) -> bool:
        """Whether it may be older than what is known, and nobody's fault."""

    def __call__(self, name: str, *, limit: int) -> bytes:
        """Return the file ``name``, of at most ``limit`` bytes."""


class Sources:
    """All of them; itself a source that asks them in turn. Threads may share it."""

    offline = lags = False

    def __init__(self, *sources: Source) -> None:
        self._configured = sources
        self._lent: tuple[Folder, ...] = ()

    @property
    def all(self) -> tuple[Source, ...]:
        """Return what is to be asked, in order: first what somebody holds out just now."""
        return (*self._lent, *self._configured)

    @property
    def folders(self) -> tuple[Folder, ...]:
        """Return those that the settings name and that are folders."""
        return tuple(one for one in self._configured if isinstance(one, Folder))

    @property
    def held_out(self) -> bool:
        """Whether somebody at the board holds a medium out just now."""
        return bool(self._lent)

    @contextmanager
    def lent(self, folder: Folder) -> Iterator[None]:
        """Ask ``folder`` before all others, until this ends."""
        self._lent = (folder,)
        try:
            yield
        finally:
            self._lent = ()

    def first(self, ask: Callable[[Source], T]) -> T:
        """Return what ``ask`` does of the first source with which it goes well.

        Raises:
            LittoralError: It does with none; the one that tells most.

        """
        errors: list[LittoralError] = []
        for source in self.all:
            try:
                return ask(source)
            except (*REFUSALS, UnreachableError, PostponedError) as e:
                errors.append(e)
        raise most_telling(errors)

    def __call__(self, name: str, *, limit: int) -> bytes:
        """Return the file ``name`` from whoever has it. Raises as ``first``."""
        return self.first(lambda source: source(name, limit=limit))

    @contextmanager
    def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:
        """Open the file ``name`` at whoever has it. Raises as ``first``."""
        with ExitStack() as opened:
            yield self.first(lambda source: opened.enter_context(source.stream(name, start=start)))


def of(
    names: tuple[str, ...],
    origin: Origin,
    *,
    prefix: str = "repo/",
    hosts: Hosts | None = None,
    blocks: "Blocks | None" = None,
) -> Sources:
    """Return the sources that the settings name; ``https`` is the console's at ``origin``.

    What comes over the broker comes through ``blocks``.
    """
    hosts = hosts or Hosts(ca=Public())
    return Sources(*(_source(name, origin, prefix, hosts, blocks) for name in names))


def clocks(
    names: tuple[str, ...], origin: Origin, *, blocks: "Blocks | None" = None
) -> tuple[Callable[[str], bytes], ...]:
    """Return the ways to ask the console what time it is, in order: each answers a nonce."""

    def over_https(nonce: str) -> bytes:
        return origin.get(f"time?nonce={nonce}", limit=4096, read_s=10.0).granted("time")

    if settings.MQTT not in names or blocks is None:
        return (over_https,)
    from littoral_agent.relayed import Relayed

    relayed = Relayed(blocks).time
    first = settings.HTTPS in names and names.index(settings.HTTPS) < names.index(settings.MQTT)
    return (over_https, relayed) if first else (relayed, over_https)


def most_telling(errors: list[LittoralError]) -> LittoralError:
    """Return which of what several sources said is to be told, or to be waited for.

    That one may give it later says most, then a refusal. That one is too old says least: whoever
    cannot be reached now may know.
    """
    for error in errors:
        if isinstance(error, PostponedError):
            return error
    for error in errors:
        if not isinstance(error, UnreachableError | StaleError):
            return error
    away = [error for error in errors if isinstance(error, UnreachableError)]
    return (away or errors)[0]


def _source(
    name: str, origin: Origin, prefix: str, hosts: Hosts, blocks: "Blocks | None"
) -> Source:
    match name:
        case settings.HTTPS:
            return Repository(origin, prefix=prefix, hosts=hosts)
        case settings.MQTT:
            from littoral_agent.blocks import Blocks
            from littoral_agent.relayed import Relayed

            return Relayed(blocks or Blocks())  # which nothing ever opens, where there is no broker
        case _ if name.startswith(settings.COPIES):
            return copy(name, hosts)
        case _:
            return Folder(Path(name.removeprefix(settings.FOLDER)))

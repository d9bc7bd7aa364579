"""Asking devices for a release: who is meant, what would happen, and only then the deed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Form, Response

from littoral.errors import FloorError, MisuseError
from littoral_console import queries, selectors
from littoral_console.pages.frame import Administering, Entered, PageRoute, see
from littoral_console.pages.reasons import Word
from littoral_console.pages.releases import admitted, wanted
from littoral_console.queries import Device, Release
from littoral_console.rest import releases as rest
from littoral_console.rollouts import fitting

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_MOST: Final = 1024

To = Annotated[str, Form(max_length=_MOST)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A device that the selector means."""

    device: Device
    runs: int | None
    hardware: str | None  # by which it would run the release
    asked: bool
    so: Word


@router.get("/releases/{model}/{number}/push")
def prepare(
    visit: Entered, model: str, number: int, to: str = "all", *, force: bool = False
) -> Response:
    with visit.context.database.reading() as connection:
        release = wanted(connection, model, number)
        fleet = admitted(queries.devices(connection))
    rows, problem = _meant(release, fleet, to=to[:_MOST], force=force)
    return visit.show(
        "push.html",
        section="/releases",
        r=release,
        to=to,
        force=force,
        rows=rows,
        asked=sum(row.asked for row in rows),
        problem=problem,
        suggestions=suggestions(fleet),
    )


@router.post("/releases/{model}/{number}/push")
async def push(
    visit: Administering,
    model: str,
    number: int,
    to: To,
    confirmed: Annotated[str, Form()] = "",
    *,
    force: Annotated[bool, Form()] = False,
) -> Response:
    if confirmed != "yes":
        raise MisuseError("a push is confirmed before it is made; tick the box on its page")
    asked = rest.Push(model=model, release=number, to=to, force=force)
    done = await rest.push(asked, visit.context, visit.who)
    return see(f"/rollouts/{done.rollout.id}")


def candidates(
    release: Release, fleet: Iterable[Device], *, to: str, force: bool
) -> tuple[Candidate, ...]:
    """Return the devices that ``to`` means, and what a push would do to each.

    Raises:
        MisuseError: It is no selector.
        FloorError: The release may not be newly activated.

    """
    if release.release < release.floor and not force:
        raise FloorError(release.model, release=release.release, floor=release.floor)
    meant = selectors.parse(to)
    return tuple(_candidate(release, device, force=force) for device in fleet if meant(device))


def suggestions(fleet: Iterable[Device]) -> tuple[str, ...]:
    """Return selectors that mean something in this fleet."""
    devices = tuple(fleet)
    families = [f"hardware={name}" for name in selectors.FAMILIES]
    labels = sorted({f"{name}={value}" for d in devices for name, value in d.labels.items()})
    told = [text for text in families if any(map(selectors.parse(text), devices))]
    return ("all", *told, *labels, *(device.id for device in devices[:50]))


def _meant(
    release: Release, fleet: Iterable[Device], *, to: str, force: bool
) -> tuple[tuple[Candidate, ...], str]:
    try:
        return candidates(release, fleet, to=to, force=force), ""
    except (MisuseError, FloorError) as e:
        return (), str(e)


def _candidate(release: Release, device: Device, *, force: bool) -> Candidate:
    runs = next((m.release for m in device.models if m.model == release.model), None)
    hardware = fitting(release.hardware, device.hardware)
    asked = hardware is not None or force
    return Candidate(
        device=device, runs=runs, hardware=hardware, asked=asked, so=_so(release, runs, asked=asked)
    )


def _so(release: Release, runs: int | None, *, asked: bool) -> Word:
    if not asked:
        return Word("not asked: other hardware", "calm")
    if runs == release.release:
        return Word("runs it already", "good")
    return Word(
        f"r{runs} → r{release.release}" if runs else f"r{release.release}, its first", "busy"
    )

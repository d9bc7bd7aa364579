"""All devices, and one of them."""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Form, Response

from littoral.errors import NotFoundError
from littoral_console import queries
from littoral_console.agreement import agreements
from littoral_console.drifting import drifts
from littoral_console.health import facts, symptoms, temperature
from littoral_console.pages.frame import Administering, Entered, PageRoute, see
from littoral_console.pages.telemetry import choose
from littoral_console.pages.tokens import spoken
from littoral_console.queries import Device
from littoral_console.rest import devices as rest

router = APIRouter(route_class=PageRoute, include_in_schema=False)

STATES: Final = (
    ("all", "all"),
    ("online", "online"),
    ("offline", "offline"),
    ("attention", "not as wanted"),
    ("unreached", "gets no releases"),
    ("board", "board needs a look"),
    ("frozen", "frozen"),
    ("revoked", "revoked"),
)
_MOST: Final = 200
_CHANGES: Final = 15
_MEASURED: Final = 10
_DRIFT_MS: Final = 24 * 3600_000
_CLOCKS: Final = {
    "signed": "signed by this console",
    "system": "its own; not confirmed by this console",
    "floor-only": "a lower bound; it has no clock of its own",
}
_TRUSTS: Final = {
    "token": "root by the enrolment token",
    "package": "root came with its package",
    "first-use": "root taken at first use",
}


@router.get("/devices")
def devices(visit: Entered, q: str = "", state: str = "all") -> Response:
    with visit.context.database.reading() as connection:
        every = queries.devices(connection)
        waiting = queries.claims_waiting(connection)
        found = [device for device in every if is_in(device, state) and speaks_of(device, q)]
        boards = queries.newest_boards(connection, [device.id for device in found[:_MOST]])
    return visit.show(
        "devices.html",
        section="/devices",
        rows=found[:_MOST],
        warmth={name: temperature(d.window) for name, d in boards.items()},
        more=max(0, len(found) - _MOST),
        total=len(every),
        q=q,
        state=state,
        states=STATES,
        waiting=waiting,
    )


@router.get("/devices/{name}")
def device(visit: Entered, name: str, model: str = "", stage: str = "", span: str = "") -> Response:
    with visit.context.database.reading() as connection:
        found = queries.device(connection, name)
        if found is None:
            raise NotFoundError(f"no device {name!r} is enrolled here")
        changes = queries.history(connection, device=name, limit=_CHANGES)
        measured = queries.history(connection, device=name, kind="bench", limit=_MEASURED)
        moved = drifts(
            connection,
            visit.context.repository,
            since_ms=visit.now_ms - _DRIFT_MS,
            devices=(name,),
        )
        choice = choose(
            connection,
            model=model,
            stage=stage,
            span=span,
            device=name,
            now_ms=visit.now_ms,
        )
    device = found.device
    return visit.show(
        "device.html",
        section="/devices",
        d=device,
        models=agreements(device),
        clock=_CLOCKS.get(device.clock or "", "not known yet"),
        trust=_TRUSTS.get(device.trust or "", "not known yet"),
        certificates=found.certificates,
        identity=found.identity,
        streams=found.streams,
        changes=changes,
        measured=measured,
        drifts=moved,
        choice=choice,
        board=device.board,
        facts=facts(device.board, found.board.window if found.board else None),
        board_ms=found.board.ends_ms if found.board else device.last_seen_ms,
    )


@router.post("/devices/{name}/labels")
async def label(
    visit: Administering, name: str, labels: Annotated[str, Form(max_length=1024)] = ""
) -> Response:
    await rest.change(name, rest.Change(labels=spoken(labels)), visit.context, visit.who)
    return see(f"/devices/{name}")


@router.post("/devices/{name}/revoke")
async def revoke(visit: Administering, name: str) -> Response:
    await rest.revoke(name, visit.context, visit.who)
    return see(f"/devices/{name}")


@router.post("/devices/{name}/thaw")
async def thaw(visit: Administering, name: str) -> Response:
    await rest.thaw(name, visit.context, visit.who)
    return see(f"/devices/{name}")


@router.post("/devices/{name}/rotate")
async def rotate(visit: Administering, name: str) -> Response:
    await rest.rotate(name, visit.context, visit.who)
    return see(f"/devices/{name}")


def is_in(device: Device, state: str) -> bool:
    """Return whether the device is in one of STATES."""
    rule = _RULES.get(state)
    return rule is None or rule(device)


def _heard(device: Device) -> bool:
    return device.revoked_ms is None and device.frozen_ms is None


def speaks_of(device: Device, text: str) -> bool:
    """Return whether each word of ``text`` is in what is shown of the device."""
    shown = " ".join(
        (
            device.id,
            device.serial,
            device.software,
            *device.hardware,
            *(f"{name}={value}" for name, value in device.labels.items()),
            *(f"{m.model} {m.model}:{m.release} r{m.release} {m.variant}" for m in device.models),
        )
    ).lower()
    return all(found in shown for found in text.lower().split())


_RULES: Final[dict[str, Callable[[Device], bool]]] = {
    "online": lambda d: d.online and _heard(d),
    "offline": lambda d: not d.online and _heard(d),
    "frozen": lambda d: d.frozen_ms is not None and d.revoked_ms is None,
    "revoked": lambda d: d.revoked_ms is not None,
    "unreached": lambda d: d.online and d.unreached is not None and _heard(d),
    "board": lambda d: bool(symptoms(d)),
    "attention": lambda d: any(found.verdict.tone == "bad" for found in agreements(d)),
}

"""All devices, and one of them."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Response

from littoral.errors import NotFoundError
from littoral_console import director, queries
from littoral_console.pages.frame import Administering, Entered, PageRoute, see
from littoral_console.pages.standing import standing
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
    ("revoked", "revoked"),
)
_MOST: Final = 200
_CHANGES: Final = 15
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
    return visit.show(
        "devices.html",
        section="/devices",
        rows=found[:_MOST],
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
        issued = director.document(connection, name)
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
        models=standing(device),
        issued=issued.version if issued else None,
        clock=_CLOCKS.get(device.clock or "", "not known yet"),
        trust=_TRUSTS.get(device.trust or "", "not known yet"),
        incarnations=found.incarnations,
        streams=found.streams,
        changes=changes,
        choice=choice,
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


def is_in(device: Device, state: str) -> bool:
    """Return whether the device is in one of STATES."""
    match state:
        case "online":
            return device.online and device.revoked_ms is None
        case "offline":
            return not device.online and device.revoked_ms is None
        case "revoked":
            return device.revoked_ms is not None
        case "attention":
            return any(found.verdict.tone == "bad" for found in standing(device))
        case _:
            return True


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

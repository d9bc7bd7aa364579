"""The devices' listener: enrolment, time, the repository, and the channel over HTTPS.

Always TLS. A device is believed by a token (once), then by signatures of its key; what a
proxy says about it is ignored. The same messages as over the broker go the same way in.
"""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection, update
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from littoral import records
from littoral.errors import (
    DeniedError,
    MalformedError,
    NotFoundError,
    SignatureError,
    UnreachableError,
)
from littoral.trust.identity import check_device
from littoral.wire.enrolment import Enrolled, EnrollRequest, SessionRequest, Waiting
from littoral.wire.identity import RENEW_HEADER, Renew, RenewRequest
from littoral.wire.message import MAX_BYTES
from littoral.wire.messages import Acks, Post, Status
from littoral.wire.telemetry import Telemetry
from littoral_console import claims, director, enrolment, identities, renewal
from littoral_console import tables as t
from littoral_console.answers import UnknownPersonError, body
from littoral_console.bodies import Body
from littoral_console.context import Context
from littoral_console.director import Document
from littoral_console.ingest import Heard
from littoral_console.proofs import Proven

T = TypeVar("T")

POST_BYTES: Final = 4 * 2**20
MOST_WAIT_S: Final = 60.0
_JSON: Final = "application/json"


def router(context: Context) -> APIRouter:
    """Return the devices' endpoints."""
    routes = APIRouter()
    endpoints = DeviceEndpoints(context)
    routes.get("/healthz")(endpoints.health)
    routes.get("/enroll/ca")(endpoints.authority)
    routes.post("/enroll")(endpoints.enroll)
    routes.get("/time")(endpoints.time)
    routes.get("/repo/{name:path}")(endpoints.repository)
    routes.get("/device/nonce")(endpoints.nonce)
    routes.post("/device/session")(endpoints.session)
    routes.get("/device/desired")(endpoints.desired)
    routes.post("/device/messages")(endpoints.messages)
    routes.post("/device/renew")(endpoints.renew)
    return routes


class DeviceEndpoints:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def health(self) -> dict[str, bool]:
        return {"ok": True}

    async def authority(self) -> Response:
        """Return the console CA: fetched unverified, checked against the token's digest."""
        return PlainTextResponse(self._context.tls.ca.read_text())

    async def enroll(self, request: Request) -> Response:
        """Admit a board that has a token, or tell it to wait for an operator."""
        asked = _read(EnrollRequest, await body(request, limit=MAX_BYTES))
        fleet = self._context.repository.anchors.fleet
        address = request.client.host if request.client else "?"

        async def admit() -> enrolment.Admitted | enrolment.Claimed:
            return await self._context.write(
                partial(self._admit, asked=asked, fleet=fleet, address=address)
            )

        admitted = await self._guarded(request, admit)
        if isinstance(admitted, enrolment.Claimed):
            waiting = Waiting(claim=admitted.claim, device=admitted.device, retry_s=claims.RETRY_S)
            return Response(records.to_json(waiting), status_code=202, media_type=_JSON)
        self._context.bus.announce([admitted.device])
        if admitted.incarnation > 1:
            await self._context.succeed(admitted.device)
        enrolled = Enrolled(
            device=admitted.device,
            fleet=fleet,
            incarnation=admitted.incarnation,
            certificate=admitted.certificate,
            device_ca=self._context.keys.device_ca_root.public_bytes(Encoding.PEM).decode(),
            broker=self._context.broker_for(request.url.hostname or ""),
        )
        return Response(records.to_json(enrolled), media_type=_JSON)

    async def time(self, nonce: str) -> Response:
        """Return the time, signed for this nonce alone."""
        return Response(self._context.signed_time(nonce), media_type=_JSON)

    async def repository(self, name: str) -> Response:
        """Return a file of the repository, the range of it that is asked for, or where it is."""
        found = await self._context.lent(name)
        if found is None:
            raise NotFoundError(f"the repository has no {name[:200]!r}")
        if isinstance(found, str):
            return RedirectResponse(found, 307, headers={"Cache-Control": "no-store"})
        changes = name in {"metadata/root.json", "metadata/timestamp.json"}
        kept = "no-cache" if changes else "public, max-age=31536000, immutable"
        return Body(found, load=self._context.load, headers={"Cache-Control": kept})

    async def nonce(self) -> dict[str, str]:
        return {"nonce": self._context.proofs.nonce()}

    async def session(self, request: Request) -> Response:
        """Give a bearer to the device that signs the nonce with its key.

        Nobody guesses a signature, and many devices come from one address: who cannot sign is
        refused, and slows down nobody.
        """
        asked = _read(SessionRequest, await body(request, limit=MAX_BYTES))

        identity = check_device(
            asked.certificate,
            root=self._context.keys.device_ca_root,
            now=datetime.fromtimestamp(self._context.clock() / 1000, UTC),
        )
        if identity.fleet != self._context.repository.anchors.fleet:
            raise SignatureError(f"the certificate is for the fleet {identity.fleet!r}")
        opened = self._context.proofs.open(asked, identity=identity)
        # Only whoever has the key is told how the device stands.
        await self._context.look(
            partial(
                identities.check,
                device=identity.device,
                incarnation=identity.incarnation,
                certificate=identity.certificate.serial_number,
            )
        )
        broker = self._context.broker_for(request.url.hostname or "")
        return Response(records.to_json(replace(opened, broker=broker)), media_type=_JSON)

    async def desired(
        self,
        request: Request,
        after: Annotated[int, Query(ge=0, lt=director.MOST)] = 0,
        wait_s: Annotated[float, Query(ge=0, le=MOST_WAIT_S)] = 25.0,
    ) -> Response:
        """Return the document above version ``after``, once there is one; else 204.

        Raises:
            UnreachableError: The console stops.

        """
        proven = await self._proven(request)
        with self._context.bus.listening(proven.device) as announced:
            wanted = await self._context.write(partial(self._polls, proven=proven, after=after))
            if wanted.frozen:
                await self._context.deny([proven.device])
            if wanted.document is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(announced.wait(), wait_s)
                if self._context.bus.closed:
                    raise UnreachableError("the console stops; ask again in a moment")
                wanted = await self._context.look(
                    partial(_still_wanted, proven=proven, after=after)
                )
        headers = {} if wanted.renew is None else {RENEW_HEADER: wanted.renew.certificate}
        if wanted.document is None:
            return Response(status_code=204, headers=headers)
        return Response(wanted.document.data, media_type=_JSON, headers=headers)

    async def renew(self, request: Request) -> Response:
        """Certify a newer key of the device; it speaks by the earlier one until it has this."""
        proven = await self._proven(request)
        asked = RenewRequest.from_json(await body(request, limit=MAX_BYTES))
        renewed = await self._context.intake.renew(proven.device, asked)
        return Response(renewed.to_json(), media_type=_JSON)

    async def messages(self, request: Request) -> Response:
        """Take what the device says, and acknowledge it after the commit."""
        proven = await self._proven(request)
        data = await body(request, limit=POST_BYTES)
        heard = await asyncio.to_thread(_understood, proven, data)
        effects = await self._context.intake.take(heard)
        await self._still(proven)
        acks = Acks(acks=effects.acks.get(proven.device, {}))
        return Response(acks.to_json(), media_type=_JSON)

    async def _guarded(self, request: Request, attempt: Callable[[], Awaitable[T]]) -> T:
        """Count what may be guesses, by where they come from, and hear no more after too many.

        Who has a secret and is refused for another reason guesses nothing: many devices may
        come from one address.
        """
        who = f"{request.url.path} {request.client.host if request.client else '?'}"
        self._context.failures.check(who)
        try:
            return await attempt()
        except enrolment.UnknownTokenError:
            self._context.failures.count(who)
            raise

    async def _proven(self, request: Request) -> Proven:
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise UnknownPersonError("expected the bearer of a session; open one")
        try:
            proven = self._context.proofs.of(bearer.strip())
        except DeniedError as e:
            raise UnknownPersonError(str(e)) from e
        await self._still(proven)
        return proven

    async def _still(self, proven: Proven) -> None:
        """Raise DeniedError unless the device is what its certificate says, and may speak."""
        await self._context.look(partial(_still, proven=proven))

    def _admit(
        self, connection: Connection, *, asked: EnrollRequest, fleet: str, address: str
    ) -> enrolment.Admitted | enrolment.Claimed:
        now_ms = self._context.clock()
        admitted = enrolment.enroll(
            connection,
            asked,
            authority=self._context.keys.device_ca,
            fleet=fleet,
            address=address,
            now_ms=now_ms,
        )
        issued = director.document(connection, admitted.device)
        if isinstance(admitted, enrolment.Admitted) and issued is not None:
            self._context.director.issue(connection, admitted.device, now_ms=now_ms)
        return admitted

    def _polls(self, connection: Connection, *, proven: Proven, after: int) -> "_Wanted":
        """Take note that the device is there; return what it is to hear at once."""
        now_ms = self._context.clock()
        held = identities.state(connection, proven.device)
        if held is None or identities.sighted(connection, held, proven.instance, now_ms=now_ms):
            return _Wanted(frozen=held is not None)
        connection.execute(
            update(t.devices)
            .where(t.devices.c.id == proven.device)
            .values(last_seen_ms=now_ms, channel="https", online=True)
        )
        self._context.director.reported(connection, proven.device, after, now_ms=now_ms)
        return _wanted(connection, proven=proven, after=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    document: Document | None = None
    renew: Renew | None = None
    frozen: bool = False  # by this very request


def _wanted(connection: Connection, *, proven: Proven, after: int) -> _Wanted:
    return _Wanted(
        document=_above(connection, device=proven.device, after=after),
        renew=renewal.wanted(connection, proven.device),
    )


def _still(connection: Connection, *, proven: Proven) -> None:
    identities.check(
        connection,
        device=proven.device,
        incarnation=proven.incarnation,
        certificate=proven.number,
    )


def _still_wanted(connection: Connection, *, proven: Proven, after: int) -> _Wanted:
    """Return what the device is to hear. Raises DeniedError if it is heard no more itself."""
    _still(connection, proven=proven)
    return _wanted(connection, proven=proven, after=after)


def _by(proven: Proven, status: Status) -> Status:
    """Return ``status`` with what the session has proven in place of what it claims."""
    return replace(status, instance=proven.instance, certificate=proven.certificate)


def _above(connection: Connection, *, device: str, after: int) -> Document | None:
    found = director.document(connection, device)
    return found if found is not None and found.version > after else None


def _read(cls: type[T], data: bytes) -> T:
    try:
        return records.from_json(cls, data, limit=MAX_BYTES)
    except records.RecordError as e:
        raise MalformedError(str(e)) from e


def _understood(proven: Proven, data: bytes) -> list[Heard]:
    """Return what is said in ``data``. Not in the event loop: what is small may take long to read.

    Raises:
        MalformedError: It says nothing that is known here.

    """
    post = Post.from_json(data)
    said = (
        *(() if post.status is None else (_by(proven, post.status),)),
        *post.reports,
        *(_telemetry(word) for word in post.telemetry),
    )
    return [Heard(device=proven.device, channel="https", said=one) for one in said]


def _telemetry(word: str) -> Telemetry:
    try:
        return Telemetry.decode(base64.b64decode(word, validate=True))
    except binascii.Error as e:
        raise MalformedError(f"telemetry: {e}") from e

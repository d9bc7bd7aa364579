"""The agent's orders on ``control.sock``: littoral.wire.control says what they are."""

import asyncio
import base64
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import parse_qs

from littoral import journal_log, records
from littoral.errors import DefectError, LittoralError, StorageError, UnreachableError
from littoral.tree import Tree
from littoral.wire.control import (
    MAX_BYTES,
    Activate,
    Activated,
    Deactivate,
    Failure,
    Loaded,
    Needs,
    Probe,
    Runtime,
    Serving,
    Tried,
    Try,
)
from littoral_serve import runtimes
from littoral_serve.http.messages import Request, Response
from littoral_serve.running import loading
from littoral_serve.running.live import Live, Models, Resources
from littoral_serve.running.memory import give_back
from littoral_serve.running.timings import Timings
from littoral_serve.settings import Settings
from littoral_serve.tpu import Tpus
from littoral_serve.trials import on_tpu, probing, trying

if TYPE_CHECKING:
    from littoral_serve.tpu.orders import Lent

_REST_S: Final = 0.003  # LiteRT holds Python's interpreter while it allocates
_LOAD_S: Final = 110.0  # the agent waits for two minutes; nothing else is loaded meanwhile

log = logging.getLogger(__name__)


class Control:
    """What the agent may ask. One load at a time, one trial at a time."""

    def __init__(
        self,
        root: Path,
        *,
        models: Models,
        timings: Timings,
        settings: Settings,
        resources: Resources,
        tpus: Tpus,
        http: str,
    ) -> None:
        self._tree = Tree(root.resolve())
        self._models, self._timings, self._settings = models, timings, settings
        self._resources, self._tpus = replace(resources, rest_s=_REST_S), tpus
        self._http = http
        self._instance = secrets.token_hex(8)
        self._loading, self._trying = asyncio.Lock(), asyncio.Lock()
        self._loader = ThreadPoolExecutor(1, "loader")
        self._calls: dict[str, Callable[[bytes], Awaitable[object]]] = {
            "POST /control/try": self._try,
            "POST /control/activate": self._activate,
            "POST /control/deactivate": self._deactivate,
            "POST /control/probe": self._probe,
            "POST /control/runtime": self._runtime,
            "GET /control/state": self._state,
        }

    async def handle(self, request: Request) -> Response:
        path, _, query = request.target.decode("latin-1").partition("?")
        call = f"{request.method} {path}"
        try:
            return await self._answer(call, query, request.body)
        except trying.UntriedError as e:
            return _failure(HTTPStatus.CONFLICT, e.failure.code, str(e))
        except records.RecordError as e:
            return _failure(HTTPStatus.BAD_REQUEST, "malformed", str(e))
        except LittoralError as e:
            return _failure(HTTPStatus.CONFLICT, e.code, str(e))
        except OSError as e:  # descriptors or processes are out, which is no fault of a release
            log.error("%s: %s", call, e)  # noqa: TRY400 (the machine's state, and no defect)
            return _failure(HTTPStatus.SERVICE_UNAVAILABLE, UnreachableError.code, str(e))
        except Exception as e:
            log.exception("%s failed", call)
            return _failure(HTTPStatus.INTERNAL_SERVER_ERROR, DefectError.code, repr(e))

    async def _answer(self, call: str, query: str, body: bytes) -> Response:
        if call == "GET /control/timings":
            return self._windows(query)
        if call not in self._calls:
            return _failure(HTTPStatus.NOT_FOUND, "usage", f"no call {call[:100]!r}")
        return Response(HTTPStatus.OK, records.to_json(await self._calls[call](body)))

    def _load(self, model: str, *, manifest: str, variant: str) -> Live:
        return loading.load(
            self._tree,
            model=model,
            manifest=manifest,
            variant=variant,
            resources=self._resources,
        )

    def _switch(self, new: Live) -> None:
        for meter in new.meters:
            self._timings.watch(meter)
        self._models.switch(new)

    async def _activate(self, body: bytes) -> Activated:
        order = records.from_json(Activate, body, limit=MAX_BYTES)
        # The agent may go; what it ordered is done all the same.
        return await asyncio.shield(asyncio.ensure_future(self._bring(order)))

    async def _bring(self, order: Activate) -> Activated:
        start = time.perf_counter()
        which = {"manifest": order.manifest, "variant": order.variant}
        async with self._loading:
            held = self._models.held(order.model, **which)
            if held is None:
                work = partial(self._load, order.model, **which)
                loading = asyncio.get_running_loop().run_in_executor(self._loader, work)
                if not (await asyncio.wait({loading}, timeout=_LOAD_S))[0]:
                    _end(order)
                held = await loading
                await _settle(held)
                self._switch(held)
                # Of the release before the one before, whose session has just gone.
                asyncio.get_running_loop().run_in_executor(self._loader, give_back)
            elif held is not self._models.running(order.model):
                self._switch(held.again())
        load_ms = (time.perf_counter() - start) * 1e3
        return Activated(model=order.model, release=held.release, load_ms=load_ms)

    async def _deactivate(self, body: bytes) -> Activated:
        order = records.from_json(Deactivate, body, limit=MAX_BYTES)
        async with self._loading:
            self._models.remove(order.model)
        return Activated(model=order.model, release=None)

    async def _try(self, body: bytes) -> Tried:
        order = records.from_json(Try, body, limit=MAX_BYTES)
        async with self._trying:
            return await on_tpu.run(order, tree=self._tree, tpus=self._tpus, run_=self._run)

    async def _run(self, order: Try, lent: "Lent | None" = None) -> Tried:
        return await trying.run(
            order,
            tree=self._tree,
            settings=self._settings,
            engines=self._resources.engines,
            lent=lent,
        )

    async def _probe(self, body: bytes) -> Tried:
        order = records.from_json(Probe, body, limit=MAX_BYTES)
        one = self._models.running(order.model)
        if one is None:
            raise StorageError(f"no release of {order.model!r} runs")
        return await probing.run(one, tree=self._tree)

    async def _runtime(self, body: bytes) -> Runtime:
        needs = records.from_json(Needs, body, limit=MAX_BYTES)
        return runtimes.find(needs, self._tpus)

    async def _state(self, _: bytes) -> Serving:
        return Serving(
            instance=self._instance,
            pid=os.getpid(),
            http=self._http,
            models=tuple(_loaded(one) for one in self._models),
        )

    def _windows(self, query: str) -> Response:
        try:
            after = int(parse_qs(query).get("after", ["0"])[0])
        except ValueError as e:
            raise records.RecordError(f"'after' should be a number: {e}") from e
        instance = records.to_json(self._instance)
        body = b'{"instance":%s,"windows":%s}' % (instance, self._timings.above(after))
        return Response(HTTPStatus.OK, body)


def _end(order: Activate) -> NoReturn:
    """End this process: no thread can be made to let go of a model that never comes to an end."""
    log.critical(
        "%s: manifest %s… is still being loaded after %.0f s; serve ends, and starts again with "
        "what is proven",
        *(order.model, order.manifest[:12], _LOAD_S),
        extra=journal_log.about(order.model),
    )
    os._exit(os.EX_SOFTWARE)


async def _settle(one: Live) -> None:
    """Wait until it is where it shall run, or cannot be for now."""
    if one.place is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOAD_S):
                await one.place.settled()


def _loaded(one: Live) -> Loaded:
    return Loaded(
        model=one.model,
        release=one.release,
        manifest=one.manifest,
        variant=one.variant,
        since_ms=one.since_ms,
        requests=sum(meter.requests for meter in one.meters),
        errors=sum(meter.errors for meter in one.meters),
        invoke=base64.b64encode(one.meter.invoke().encode()).decode(),
        instead=_instead(one),
        lost=one.place is not None and one.place.lost,
    )


def _instead(one: Live) -> str | None:
    """Return the variant that answers, where it is another one for now."""
    twin = one.place.twin if one.place is not None and one.place.stands_in else None
    return None if twin is None else twin.variant


def _failure(status: HTTPStatus, code: str, error: str) -> Response:
    return Response(status, records.to_json(Failure(code=code, error=error)))

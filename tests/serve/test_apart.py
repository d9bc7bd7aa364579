"""Large bodies that must be read carefully: in a thread, in turn, for who still waits."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import pytest

from littoral.errors import BackendError
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.protocols.apart import Apart
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import InvalidArgumentError, RefusalError
from patience import patient
from simulators.loaded import Doubling, loaded
from simulators.served import wait_until


def request() -> Request:
    return Request("POST", b"/", {}, b"", keep_alive=True, arrived_ns=time.perf_counter_ns())


def refuse(error: RefusalError | BackendError) -> Response:
    return Response(400, f"{type(error).__name__}: {error}".encode())


def ask(
    read: Callable[[], int],
    then: Callable[[int], Response | Later] = lambda n: Response(200, b"%d" % n),
    *,
    live: Live | None = None,
    timeout_ns: int = 10**12,
    leave: bool = False,
) -> Response:
    asked = live or loaded(Doubling())

    async def main() -> Response:
        later = Apart().read(request(), asked, read, then, refuse=refuse, timeout_ns=timeout_ns)
        if leave:
            later.cancel()
        given: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        later.then(given.set_result)
        return await given

    return asyncio.run(main())


def test_what_was_read_is_answered_on_the_loop() -> None:
    assert ask(lambda: 7).body == b"7"
    threads: list[threading.Thread] = []

    def read() -> int:
        threads.append(threading.current_thread())
        assert not gc.isenabled()
        return 1

    def then(_: int) -> Response:
        threads.append(threading.current_thread())
        assert gc.isenabled()
        return Response(200, b"")

    assert ask(read, then).status == HTTPStatus.OK
    assert threads[0] is not threads[1] is threading.main_thread()


def test_a_mistake_and_a_fault_are_answered_too() -> None:
    def wrong() -> int:
        raise InvalidArgumentError("no")

    def broken() -> int:
        raise ZeroDivisionError

    assert ask(wrong).body == b"InvalidArgumentError: no"
    assert b"could not be read: ZeroDivisionError" in ask(broken).body

    def then(_: int) -> Response:
        raise InvalidArgumentError("does not fit")

    assert ask(lambda: 1, then).body == b"InvalidArgumentError: does not fit"

    def defect(_: int) -> Response:
        raise ZeroDivisionError

    assert b"could not be asked: ZeroDivisionError" in ask(lambda: 1, defect).body


def test_of_what_was_refused_nothing_stays() -> None:
    """What was read of a large body is hundreds of MiB, and no collector came for minutes."""

    class Document:
        pass

    kept: list[weakref.ref[Document]] = []

    def wrong() -> int:
        document = Document()
        kept.append(weakref.ref(document))
        try:
            return int(str(document))
        except ValueError as e:
            raise InvalidArgumentError("no") from e

    brought = Document()
    kept.append(weakref.ref(brought))

    def then(_: int, *, of: Document = brought) -> Response:
        raise InvalidArgumentError(str(of))

    del brought
    gc.disable()
    try:
        assert ask(wrong, then).body == b"InvalidArgumentError: no"
        del then
        wait_until(lambda: [one() for one in kept] == [None, None])  # its thread lets go last
    finally:
        gc.enable()


def test_whom_nobody_waits_for_and_who_comes_too_late_is_not_answered() -> None:
    def never(_: int) -> Response:
        raise AssertionError

    live = loaded(Doubling())
    assert b"LateError: m: it waited" in ask(lambda: 1, never, live=live, timeout_ns=0).body
    assert live.lane.late == 1
    assert b"LeftError" in ask(lambda: 1, never, live=live, leave=True).body
    assert live.lane.late == 1


def test_what_was_read_too_late_is_not_run() -> None:
    def slow() -> int:
        time.sleep(0.05)
        return 1

    def never(_: int) -> Response:
        raise AssertionError

    live = loaded(Doubling())
    assert b"LateError" in ask(slow, never, live=live, timeout_ns=10**7).body
    assert live.lane.late == 1


def test_bodies_are_read_one_after_the_other_whoever_asks() -> None:
    """However many are sent, no more than one lies read."""
    order: list[str] = []

    async def main() -> None:
        apart, live = Apart(), loaded(Doubling())
        given = [asyncio.get_running_loop().create_future() for _ in range(5)]

        def read(number: int) -> int:
            order.append(f"begins {number}")
            time.sleep(0.002)
            order.append(f"ends {number}")
            return number

        for number, one in enumerate(given):
            later = apart.read(
                request(),
                live,
                partial(read, number),
                lambda n: Response(200, b"%d" % n),
                refuse=refuse,
                timeout_ns=10**12,
            )
            later.then(one.set_result)
        assert [answer.body for answer in await asyncio.gather(*given)] == [
            b"%d" % number for number in range(5)
        ]

    asyncio.run(main())
    assert order == [f"{what} {number}" for number in range(5) for what in ("begins", "ends")]


def test_a_loop_that_ends_does_not_wait_for_what_is_read(capfd: pytest.CaptureFixture[str]) -> None:
    reading, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def read() -> int:
        reading.set()
        assert go_on.wait(patient(20))
        return 1

    def read_next() -> int:
        over.set()
        return 1

    async def main() -> None:
        apart, live = Apart(), loaded(Doubling())
        asked = partial(apart.read, refuse=refuse, timeout_ns=10**12)
        asked(request(), live, read, lambda _: Response(200, b""))
        asked(request(), live, read_next, lambda _: Response(200, b""))
        assert await asyncio.to_thread(reading.wait, patient(20))

    asyncio.run(main())
    go_on.set()
    assert over.wait(patient(20))  # the thread goes on for whom it serves next
    assert "Traceback" not in capfd.readouterr().err


def test_leaving_is_told_to_what_was_begun() -> None:
    async def main() -> None:
        inner, begun = Later(), asyncio.Event()
        left: list[bool] = []
        inner.on_left = lambda: left.append(True)

        def then(_: int) -> Later:
            begun.set()
            return inner

        later = Apart().read(
            request(), loaded(Doubling()), lambda: 1, then, refuse=refuse, timeout_ns=10**12
        )
        await begun.wait()
        later.cancel()
        assert left == [True]
        assert inner.left
        inner.give(Response(200, b"x"))
        assert later.response is not None

    asyncio.run(main())

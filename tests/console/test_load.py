"""What the console tells of its load: as Prometheus reads it, and only to whom it knows."""

import asyncio
import re
import time

import urllib3

from littoral_console.load import SPAN_S, Lag, Load
from simulators.console import ConsoleProcess


def test_a_loop_that_is_busy_is_late() -> None:
    lag = Lag()

    async def story() -> None:
        watching = asyncio.create_task(lag.watch())
        await asyncio.sleep(0.05)
        time.sleep(0.12)  # noqa: ASYNC251 (this is what is measured)
        await asyncio.sleep(0.05)
        watching.cancel()

    asyncio.run(story())
    assert 0.09 < lag.longest_s < 1
    assert sum(lag.counts[:8]) >= 2
    assert sum(lag.counts[8:]) >= 1


def test_the_longest_lag_is_forgotten_after_a_while() -> None:
    now = 0.0
    lag = Lag(clock=lambda: now)
    lag.note(0.3)
    now = SPAN_S - 1
    assert lag.longest_s == 0.3
    now = SPAN_S + 1
    lag.note(0.1)
    assert lag.longest_s == 0.3
    now = 2 * SPAN_S + 2
    assert lag.longest_s == 0.1
    now = 9 * SPAN_S
    assert lag.longest_s == 0


def test_what_is_told_is_what_prometheus_reads() -> None:
    load = Load()
    load.lag.note(0.003)
    load.lag.note(9.0)
    load.sent_bytes = 7
    with load.one_more():
        lines = load.text().splitlines()
    assert 'littoral_console_loop_lag_seconds_bucket{le="0.002"} 0' in lines
    assert 'littoral_console_loop_lag_seconds_bucket{le="0.005"} 1' in lines
    assert 'littoral_console_loop_lag_seconds_bucket{le="+Inf"} 2' in lines
    assert "littoral_console_loop_lag_seconds_count 2" in lines
    assert "littoral_console_repository_sending 1" in lines
    assert "littoral_console_repository_sent_bytes_total 7" in lines
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    named = {line.split("{")[0].split()[0] for line in lines if not line.startswith("#")}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in named} == typed


def test_the_console_tells_whom_it_knows(console: ConsoleProcess) -> None:
    url = console.ready["http"] + "/metrics"
    assert urllib3.request("GET", url).status == 401
    told = console.metrics()
    assert told["loop_lag_seconds_count"] > 0
    assert told["resident_bytes"] > 2**24

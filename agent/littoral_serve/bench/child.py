"""The process in which a model is measured: ``python -m littoral_serve.bench.child SETUP``.

It does what it is told on its standard input, an order a line (littoral_serve.bench.orders), and
ends with it. A model may crash it, which is then its answer.
"""

import gc
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from littoral import records
from littoral.bundle.manifest import Manifest
from littoral.children import die_with_parent
from littoral.errors import LittoralError, MisuseError
from littoral.model import selftest
from littoral.model.backends import Session, open_session, open_variant
from littoral.resident import peak_bytes, resident_bytes
from littoral_serve.bench import feeding, operators, scenarios, warming
from littoral_serve.bench.orders import MAX_BYTES, Answer, Loaded, Order, Setup, Warmed
from littoral_serve.bench.result import Memory
from littoral_serve.bench.scenarios import Times
from littoral_serve.running.signatures import batch_size


class Measuring:
    """One model, and what it is asked. The first order is to load it."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._model = _read(setup.model)
        self._told: Manifest | None = None
        if setup.manifest is not None:
            self._told = Manifest.from_json(_read(setup.manifest))
        self._session: Session | None = None
        self._inputs: Sequence[selftest.Sample] = ()
        self._memory = Memory()

    def do(self, order: Order) -> tuple[Answer, Times | None]:
        match order.do:
            case "load":
                return Answer(loaded=self._load()), None
            case "operators":
                found, note = operators.profile(
                    self._model,
                    backend=self._setup.backend,
                    threads=self._setup.threads,
                    seconds_each=order.seconds,
                )
                return Answer(operators=found, note=note), None
            case "warm":
                return Answer(warmed=self._warm(order)), None
            case "selftest":
                return self._prove(), None
            case "closed":
                return _answered(self._closed(order))
            case "served":
                arrivals = scenarios.poisson(
                    per_s=order.per_s, seconds=order.seconds, seed=order.seed
                )
                return _answered(
                    scenarios.served(self._loaded.run, self._inputs, arrivals=arrivals)
                )

    @property
    def _loaded(self) -> Session:
        if self._session is None:
            raise MisuseError("nothing is loaded")
        return self._session

    def _load(self) -> Loaded:
        setup = self._setup
        memory = Memory(before=resident_bytes())
        start = time.perf_counter()
        runtime = feeding.import_runtime(setup.backend)
        runtime_s = time.perf_counter() - start
        memory = replace(memory, runtime=resident_bytes())
        start = time.perf_counter()
        session = self._open()
        load_s = time.perf_counter() - start
        memory = replace(memory, loaded=resident_bytes())
        self._inputs, kind = feeding.inputs(session.inputs, self._told, setup.golden, read=_read)
        start = time.perf_counter()
        session.run(*self._inputs[0])
        first_s = time.perf_counter() - start
        self._session, self._memory = session, memory
        return Loaded(
            runtime_ms=runtime_s * 1e3,
            load_ms=load_s * 1e3,
            first_ms=first_s * 1e3,
            batch=batch_size(session.inputs, session.outputs) or 1,
            inputs=kind,
            runtime=runtime,
            memory=memory,
        )

    def _open(self) -> Session:
        setup = self._setup
        if self._told is None or setup.variant is None:
            return open_session(setup.backend, self._model, threads=setup.threads)
        variant = self._told.variant(setup.variant)
        return open_variant(
            self._told, variant, self._model, backend=setup.backend, threads=setup.threads
        )

    def _warm(self, order: Order) -> Warmed:
        block = Order(do="closed", seconds=warming.BLOCK_S, least=warming.LEAST_OF_A_BLOCK)
        # A collection would look through all that was imported, in the middle of a query.
        gc.collect()
        gc.freeze()
        gc.disable()
        told = warming.warm(lambda: self._closed(block), most_s=order.seconds)
        held = self._memory
        steady = resident_bytes()
        added = None
        if steady is not None and held.runtime is not None:
            added = max(0, steady - held.runtime)
        memory = replace(held, steady=steady, peak=peak_bytes(), model=added)
        return Warmed(warm_up=told, memory=memory)

    def _closed(self, order: Order) -> Times:
        return scenarios.closed(
            self._loaded.run,
            self._inputs,
            seconds=order.seconds,
            runs_per_query=order.runs_per_query,
            least=order.least,
            most=order.most,
        )

    def _prove(self) -> Answer:
        setup, told = self._setup, self._told
        if told is None or setup.variant is None or setup.hardware is None:
            raise MisuseError("only a bundle's variant has a self-test")
        test = told.selftest_for(told.variant(setup.variant))
        inputs, outputs = (
            selftest.unpack(_read(fd), specs, count=test.count)
            for fd, specs in zip(setup.golden, (told.inputs, told.outputs), strict=True)
        )
        figures = selftest.measure(self._loaded, inputs, outputs)
        return Answer(tried=selftest.verdict(figures, test, hardware=setup.hardware))


def _answered(times: Times) -> tuple[Answer, Times]:
    return Answer(queries=len(times.latency), elapsed_ns=times.elapsed_ns), times


def _read(fd: int) -> bytes:
    """Return all of the file ``fd``, from its beginning."""
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _confine(setup: Setup) -> None:
    die_with_parent()
    if os.getppid() != setup.parent:
        sys.exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(argv: list[str]) -> int:
    setup = records.from_json(Setup, argv[1].encode(), limit=MAX_BYTES)
    _confine(setup)
    with os.fdopen(setup.answers, "wb") as answers, Path("/dev/stdin").open("rb") as orders:
        measuring = Measuring(setup)
        for line in orders:
            times: Times | None = None
            try:
                answer, times = measuring.do(records.from_json(Order, line, limit=MAX_BYTES))
            except LittoralError as e:
                answer = Answer(code=e.code, error=str(e))
            except (ValueError, MemoryError) as e:  # of a model that is not as it says
                answer = Answer(code="backend", error=f"{type(e).__name__}: {e}")
            answers.write(records.to_json(answer) + b"\n")
            if times is not None:
                answers.write(np.concatenate((times.due, times.latency)).tobytes())
            answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""The process that measures: real models, and what ends it."""

import os
import signal
from pathlib import Path

import pytest

from littoral.errors import BackendError, BackendMissingError, CrashError, LittoralError
from littoral_serve.bench.orders import Order
from littoral_serve.bench.process import Process, Subject, started
from simulators.served import model

TINY = Subject(name="tiny", backend="litert", model=model("tiny_int8"))


def loaded(process: Process) -> None:
    assert process.ask(Order(do="load")).loaded is not None


def test_a_model_is_loaded_warmed_and_measured() -> None:
    with started(TINY, threads=1) as process:
        told = process.ask(Order(do="load")).loaded
        assert told is not None
        assert (told.batch, told.inputs) == (1, "random")
        assert told.runtime.startswith("LiteRT 2.")
        assert told.load_ms > 0
        warmed = process.ask(Order(do="warm", seconds=0.3)).warmed
        assert warmed is not None
        memory = warmed.memory
        assert memory.before is not None
        assert memory.runtime is not None
        assert memory.steady is not None
        assert memory.peak is not None
        assert memory.before < memory.runtime <= memory.steady <= memory.peak
        times = process.measure(Order(do="closed", seconds=0.05))
        assert len(times.latency) == len(times.due) >= 10
        assert (times.latency > 0).all()
        assert sum(times.latency) <= times.elapsed_ns
        served = process.measure(Order(do="served", seconds=0.1, per_s=500))
        assert len(served.latency) == 50


def test_what_is_no_model_is_refused_and_the_process_goes_on() -> None:
    with started(Subject(name="x", backend="litert", model=b"nonsense" * 20), threads=1) as process:
        for _ in range(2):
            with pytest.raises(BackendError) as refused:
                process.ask(Order(do="load"))
            assert type(refused.value) is BackendError


def test_a_backend_that_is_not_here_says_so_as_itself() -> None:
    subject = Subject(name="x", backend="edgetpu", model=model("tiny_int8"))
    with started(subject, threads=1) as process, pytest.raises(BackendMissingError):
        process.ask(Order(do="load"))


def test_a_model_that_ends_the_process_is_a_crash_in_words() -> None:
    with started(TINY, threads=1) as process:
        loaded(process)
        os.kill(process._child.pid, signal.SIGSEGV)
        with pytest.raises(CrashError, match=r"tiny ended the process .*SIGSEGV"):
            process.measure(Order(do="closed", seconds=0.1))


def test_an_order_before_the_load_is_a_mistake_and_no_crash() -> None:
    with started(TINY, threads=1) as process:
        with pytest.raises(LittoralError, match="nothing is loaded"):
            process.measure(Order(do="closed", seconds=0.1))
        loaded(process)


def test_the_process_is_gone_with_whoever_asked() -> None:
    with started(TINY, threads=1) as process:
        loaded(process)
        pid = process._child.pid
        assert Path(f"/proc/{pid}").exists()
    assert process._child.returncode == -signal.SIGKILL

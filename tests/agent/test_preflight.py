"""What a device looks at before the first byte: each thing that may be lacking, with its code."""

from collections.abc import Callable

import pytest

from littoral.bundle.manifest import Requires, Variant
from littoral.errors import (
    BackendMissingError,
    LittoralError,
    OperatorsError,
    ShortMemoryError,
    UnreachableError,
    WrongRuntimeError,
)
from littoral.wire.control import Failure, Needs, Runtime
from littoral_agent.control import OrderDeniedError
from littoral_agent.preflight import Preflight

MB = 1_000_000


def variant(
    name: str = "cpu",
    *,
    runtime: str | None = None,
    operators: dict[str, int] | None = None,
    memory: int = 0,
) -> Variant:
    requires = Requires(
        hardware=("cpu-x86_64",), runtime=runtime, operators=operators or {}, memory_bytes=memory
    )
    return Variant(id=name, engine="tflite", files=("m",), requires=requires)


def serve(version: str = "2.3.0", *, knows: int = 5) -> Callable[[Needs], Runtime]:
    def ask(needs: Needs) -> Runtime:
        unknown = {name: knows for name, version in needs.operators.items() if version > knows}
        return Runtime(name="litert", version=version, unknown=unknown)

    return ask


def preflight(
    ask: Callable[[Needs], Runtime] | None = None, *, free: int | None = 100 * MB
) -> Preflight:
    return Preflight(ask=ask or serve(), free_bytes=lambda: free)


def refuses(found: Preflight, *variants: Variant) -> LittoralError:
    with pytest.raises(LittoralError) as e:
        found.choose(variants)
    return e.value


def test_a_variant_for_which_all_is_here_is_taken() -> None:
    one = variant(runtime="litert>=2.1,<3", operators={"ADD": 5}, memory=100 * MB)
    assert preflight().choose([one]) is one


def test_another_version_of_the_runtime_is_refused() -> None:
    e = refuses(preflight(serve("2.0.9")), variant(runtime="litert>=2.1"))
    assert isinstance(e, WrongRuntimeError)
    assert "requires litert>=2.1, and litert 2.0.9 is here" in str(e)


def test_another_runtime_is_refused_whatever_its_version() -> None:
    def ask(_: Needs) -> Runtime:
        return Runtime(name="tflite", version="99", unknown={})

    assert isinstance(refuses(preflight(ask), variant(runtime="litert>=2.1")), WrongRuntimeError)


def test_an_operator_that_is_too_new_is_refused_by_its_name() -> None:
    e = refuses(preflight(), variant(operators={"CONV_2D": 8, "ADD": 1}))
    assert isinstance(e, OperatorsError)
    assert "CONV_2D in version 8 (known up to 5)" in str(e)
    e = refuses(preflight(serve(knows=0)), variant(operators={"GELU": 1}))
    assert "GELU in version 1 (not known)" in str(e)


def test_less_memory_than_it_requires_is_refused() -> None:
    e = refuses(preflight(free=99 * MB), variant(memory=100 * MB))
    assert isinstance(e, ShortMemoryError)
    assert "requires 100 MB of free memory, and 99 MB are free" in str(e)


def test_memory_of_which_nobody_tells_is_no_reason() -> None:
    one = variant(memory=100 * MB)
    assert preflight(free=None).choose([one]) is one


def test_the_next_variant_is_taken_where_the_first_requires_too_much() -> None:
    large, new, small = (
        variant("large", memory=200 * MB),
        variant("new", operators={"ADD": 6}),
        variant("small", memory=50 * MB),
    )
    assert preflight().choose([large, new, small]) is small
    assert preflight(serve(knows=6)).choose([large, new, small]) is new


def test_where_none_will_do_the_first_ones_reason_is_told() -> None:
    e = refuses(preflight(), variant("large", memory=200 * MB), variant(operators={"ADD": 6}))
    assert isinstance(e, ShortMemoryError)


def test_what_nothing_here_runs_gives_way_to_what_something_does() -> None:
    def ask(needs: Needs) -> Runtime:
        if needs.delegate is not None:
            raise OrderDeniedError(Failure(code="backend-missing", error="no backend runs it"))
        return serve()(needs)

    coral = Variant(
        id="coral",
        engine="tflite",
        files=("m",),
        delegate="edgetpu",
        requires=Requires(hardware=("edgetpu-usb",), operators={"ADD": 1}),
    )
    plain = variant(operators={"ADD": 1})
    assert preflight(ask).choose([coral, plain]) is plain
    assert isinstance(refuses(preflight(ask), coral), BackendMissingError)


def test_a_serve_that_does_not_answer_is_no_verdict() -> None:
    def ask(_: Needs) -> Runtime:
        raise UnreachableError("serve does not answer")

    assert isinstance(refuses(preflight(ask), variant(operators={"A": 1})), UnreachableError)
    one = variant(memory=1)
    assert preflight(ask).choose([one]) is one, "who requires nothing of serve asks nothing of it"
    one = variant(operators={"A": 1})
    assert preflight(ask).choose([one], unheard=True) is one, "it is asked before the trial"
    large = variant(operators={"A": 1}, memory=200 * MB)
    with pytest.raises(ShortMemoryError):
        preflight(ask).choose([large], unheard=True)

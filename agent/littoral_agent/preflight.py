"""Whether this device can take a variant at all, before the first byte of its files is asked for.

A manifest says what each variant requires; serve says what its runtime is and knows, and the
kernel how much memory is free. The publisher's first variant that requires no more is the one
that is taken. Serve is asked only where a variant requires something of it; what it cannot be
asked, because it does not run, it is asked before the trial.
"""

from collections.abc import Callable, Sequence

from littoral.bundle.manifest import Requires, Variant
from littoral.bundle.runtimes import Range
from littoral.errors import (
    BackendMissingError,
    LittoralError,
    OperatorsError,
    ShortMemoryError,
    UnfitError,
    UnreachableError,
    WrongRuntimeError,
)
from littoral.sizes import size
from littoral.wire.control import Needs, Runtime
from littoral_agent.control import OrderDeniedError


class Preflight:
    """What a variant requires, held against what is here. Threads may share it.

    ``ask`` is serve's answer to what would run a variant; ``free_bytes`` is the memory that
    programs may still take, None where nobody tells.
    """

    def __init__(
        self, *, ask: Callable[[Needs], Runtime], free_bytes: Callable[[], int | None]
    ) -> None:
        self._ask, self._free_bytes = ask, free_bytes

    def choose(self, variants: Sequence[Variant], *, unheard: bool = False) -> Variant:
        """Return the first of ``variants``, at least one, that this device can take.

        ``unheard``, what serve would say counts only where it does: whoever holds a medium out
        should not have to come again.

        Raises:
            UnfitError, BackendMissingError: It can take none; why not the first.
            UnreachableError: Serve, who would know, does not answer.

        """
        why: list[LittoralError] = []
        for variant in variants:
            try:
                self._check(variant, unheard=unheard)
            except (UnfitError, BackendMissingError) as e:
                why.append(e)
            else:
                return variant
        raise why[0]

    def _check(self, variant: Variant, *, unheard: bool) -> None:
        try:
            check_serve(variant, ask=self._ask)
        except UnreachableError:
            if not unheard:
                raise
        if variant.requires.memory_bytes:
            check_memory(variant.id, variant.requires, self._free_bytes())


def check_serve(variant: Variant, *, ask: Callable[[Needs], Runtime]) -> None:
    """Do nothing if what runs models here runs ``variant``; ``ask`` is serve's answer.

    Raises:
        BackendMissingError: Nothing here does.
        WrongRuntimeError, OperatorsError: As ``check_runtime``.
        UnreachableError: Serve does not answer.

    """
    requires = variant.requires
    if requires.runtime is None and not requires.operators:
        return
    needs = Needs(
        engine=variant.engine,
        delegate=variant.delegate,
        operators=requires.operators,
        hardware=requires.hardware,
    )
    try:
        here = ask(needs)
    except OrderDeniedError as e:
        if e.reason != BackendMissingError.code:
            raise
        raise BackendMissingError(f"variant {variant.id}: {e}") from e
    check_runtime(variant.id, requires, here)


def check_runtime(variant: str, requires: Requires, here: Runtime) -> None:
    """Do nothing if the runtime that is ``here`` runs what ``requires`` it.

    Raises:
        WrongRuntimeError: It is another one, or of another version.
        OperatorsError: It does not know an operator, or not in the version that is used.

    """
    if requires.runtime is not None:
        wanted = Range.parse(requires.runtime)
        if wanted.name != here.name or not wanted.admits(here.version):
            raise WrongRuntimeError(
                f"variant {variant} requires {requires.runtime}, and {here.name} {here.version} "
                "is here; update it, or publish a variant for it"
            )
    if here.unknown:
        raise OperatorsError(
            f"variant {variant} uses {_operators(requires, here)}; {here.name} {here.version} "
            "is here; update it, or convert with older versions"
        )


def check_memory(variant: str, requires: Requires, free_bytes: int | None) -> None:
    """Do nothing if so much memory is free, or nobody can tell.

    Nothing that the release before it holds counts: that one answers until the candidate was
    tried, loaded and warmed beside it.

    Raises:
        ShortMemoryError: Less is free.

    """
    if free_bytes is not None and free_bytes < requires.memory_bytes:
        raise ShortMemoryError(
            f"variant {variant} requires {size(requires.memory_bytes)} of free memory, and "
            f"{size(free_bytes)} are free; end what else runs here, or publish a smaller one"
        )


def _operators(requires: Requires, here: Runtime) -> str:
    return ", ".join(
        f"{name} in version {requires.operators.get(name, 0)} "
        f"({f'known up to {known}' if known else 'not known'})"
        for name, known in sorted(here.unknown.items())
    )

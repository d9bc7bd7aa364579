"""The self-test on a release that answers clients now, between two of their batches.

Where there are too few requests to judge a release by, it is asked about its golden vectors.
"""

from functools import partial

from littoral.bundle import verified
from littoral.errors import BackendError, BackendMissingError, UnreachableError
from littoral.model import selftest
from littoral.tree import Tree
from littoral.wire.control import Tried
from littoral_serve.running.live import Live
from littoral_serve.trials import golden


async def run(one: Live, *, tree: Tree) -> Tried:
    """Return what came of asking ``one``, whose files are in ``tree``.

    Raises:
        UnreachableError: What runs it is away for now, which is not its fault.
        HashError, MalformedError, StorageError: Its files are not as they were signed.

    """
    manifest = verified.read_manifest(tree, one.manifest, model=one.model)
    variant = manifest.variant(one.variant)
    file = partial(verified.read_file, tree, manifest)
    inputs, wanted = golden.read(manifest, variant, file)
    found: list[selftest.Sample] = []
    spent: list[int] = []
    while len(found) < len(inputs) or not selftest.enough(spent):
        sample = inputs[len(spent) % len(inputs)]
        try:
            async with one.lane.alone() as runner:
                made, cpu_ns = await runner.weigh(sample)
        except BackendMissingError as e:
            raise UnreachableError(f"{one.model} cannot be probed now: {e}") from e
        except BackendError as e:
            return Tried(code=e.code, detail=str(e))
        spent.append(cpu_ns)
        found += [made] if len(found) < len(inputs) else []
    max_abs, top1 = selftest.compare(found, wanted, one.outputs)
    figures = selftest.Figures(
        max_abs=max_abs, top1=top1, p95_cpu_us=selftest.p95(spent), peak_bytes=None
    )
    budgets = manifest.selftest.p95_cpu_us
    # Which of the variant's boards this is, the agent knows; the widest budget is no mistake.
    hardware = max(variant.requires.hardware, key=lambda name: budgets.get(name, float("inf")))
    return selftest.verdict(figures, manifest.selftest, hardware=hardware)

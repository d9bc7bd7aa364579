"""Models on Edge TPUs: a process for each TPU, which may be lost. It knows no protocol."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from littoral.bundle.manifest import Manifest, Variant
from littoral_serve.settings import Settings

if TYPE_CHECKING:
    from littoral.bundle.verified import Files
    from littoral_serve.running.live import Description, Live, Resources
    from littoral_serve.tpu.pool import Pool

_EDGETPU = "edgetpu"


class Tpus:
    """What runs models here beside the processor, by what variants call it.

    The TPUs, and other delegates that the settings name. Each is looked for with the first model
    for it: most devices have none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._libraries = settings.libraries()
        self._pools: dict[str, Pool] = {}

    def runs(self, variant: Variant) -> bool:
        """Whether ``variant`` is for one of them."""
        return variant.engine == "tflite" and self.knows(variant.delegate)

    def knows(self, delegate: str | None) -> bool:
        return delegate == _EDGETPU or delegate in self._libraries

    def get(self, variant: Variant) -> "Pool":
        """Return where ``variant`` runs."""
        name = variant.delegate or _EDGETPU
        if name not in self._pools:
            from littoral_serve.tpu.orders import Limits
            from littoral_serve.tpu.pool import Pool

            limits = Limits(
                invoke_s=self._settings.edgetpu_invoke_s,
                wait_s=self._settings.deadline_s,
                address_space_bytes=self._settings.trial_address_space_bytes,
            )
            library = self._libraries.get(name, "")
            devices = () if library else self._settings.edgetpus
            self._pools[name] = Pool(devices, library=library, limits=limits)
        return self._pools[name]

    def load(
        self,
        manifest: Manifest,
        variant: Variant,
        files: "Files",
        describe: "Callable[[Variant], Description]",
        *,
        resources: "Resources",
    ) -> "Live":
        """Return ``variant``, whose file is verified, on the pool that runs it.

        Raises:
            LittoralError: A file is not here, or holds other bytes than were signed.

        """
        from littoral_serve.tpu import loading

        pool = self.get(variant)
        return loading.load(manifest, variant, files, describe, pool=pool, resources=resources)

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()

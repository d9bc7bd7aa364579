"""Models on Edge TPUs: a process for each TPU, which may be lost. It knows no protocol."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from littoral.bundle.manifest import Manifest, Variant
from littoral_serve.settings import Settings

if TYPE_CHECKING:
    from littoral.bundle.verified import Files
    from littoral_serve.running.live import Describe, Description, Live, Resources
    from littoral_serve.tpu.orders import Limits
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
        return self._pool(variant.delegate or _EDGETPU)

    def _pool(self, name: str) -> "Pool":
        if name not in self._pools:
            from littoral_serve.tpu.pool import Pool

            library = self._libraries.get(name, "")
            devices = () if library else self._settings.edgetpus
            self._pools[name] = Pool(devices, library=library, limits=self._limits())
        return self._pools[name]

    def _limits(self) -> "Limits":
        from littoral_serve.tpu.orders import Limits

        return Limits(
            invoke_s=self._settings.edgetpu_invoke_s,
            wait_s=self._settings.deadline_s,
            address_space_bytes=self._settings.trial_address_space_bytes,
        )

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

    def load_file(
        self, path: Path, model: bytes, describe: "Describe", *, resources: "Resources"
    ) -> "Live":
        """Return ``model``, the bytes of ``path``, on the TPUs: one is asked how it looks there.

        Raises:
            BackendMissingError: There is none that can be opened.
            LittoralError: It does not run on one.

        """
        from littoral_serve.tpu import loading, looking

        looked = looking.look(model, self._settings.edgetpus, limits=self._limits())
        description = describe(looked.inputs, looked.outputs)
        pool = self._pool(_EDGETPU)
        return loading.load_file(path, model, description, pool=pool, resources=resources)

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()

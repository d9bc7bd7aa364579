"""What publish makes of a release, and what a device makes of that."""

import random
from pathlib import Path

from littoral.trust import writer
from littoral_converter.encoding import Encoder
from simulators.device import Device
from simulators.encodings import sha256
from simulators.repository import RepositorySimulator

WEIGHTS = random.Random(8).randbytes(300_000)


def test_a_release_that_was_published_with_patches_is_taken_by_them(tmp_path: Path) -> None:
    """From the last release, from the one before it, and by zstd where nothing is here."""
    models = {
        release: bytes((b + (n % 40 == 0) * release) % 256 for n, b in enumerate(WEIGHTS))
        + bytes(50_000)
        for release in (1, 2, 3)
    }
    with RepositorySimulator(tmp_path) as repo:
        for release, model in models.items():
            bundle = repo.bundle("digits", release, files={"model.tflite": model})
            if release == 1:
                repo.publish(bundle)
                continue
            writer.publish(
                repo.folder,
                bundle,
                offline=repo.offline,
                encode=Encoder(say=lambda _: None),
                now=repo.now,
            )
            repo.renew()
        taken = {}
        for name, way in {"each": (1, 2, 3), "one": (1, 3), "none": (3,)}.items():
            device = Device(tmp_path / name, repo)
            for release in way:
                device.order("digits", release)
                device.settle()
            assert device.good("digits") == 3
            assert device.tree.blob(sha256(models[3])).read_bytes() == models[3]
            updates = [one.update for one in device.reports if one.update]
            taken[name] = [one.figures for one in updates if one.event == "fetched"][-1]
            device.stop()
    assert taken["each"]["files_patch"] == taken["one"]["files_patch"] == 1
    assert taken["none"]["files_zstd"] == 1
    assert max(taken["each"]["bytes"], taken["one"]["bytes"]) < 30_000

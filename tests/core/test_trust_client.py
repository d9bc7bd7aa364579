"""The client on a real repository over real HTTP: honest, dishonest and cut off."""

from pathlib import Path

import pytest

from littoral.errors import ForgottenError
from littoral.trust.client import Client, bootstrap
from simulators.repository import Fault, RepositorySimulator


def test_it_finds_what_was_published(tmp_path: Path) -> None:
    with RepositorySimulator(tmp_path) as repo:
        published = repo.publish(repo.bundle("digits", 1))
        bootstrap(tmp_path / "device", repo.root)
        client = Client(tmp_path / "device", repo.fetch, now=repo.now)
        client.refresh()
        found = client.lookup("bundles/digits/1/manifest.json")
        assert found is not None
        assert found[0].hashes["sha256"] == published.manifest_sha256
        repo.fault("targets/*", Fault.NOT_FOUND)
        with pytest.raises(ForgottenError):
            repo.fetch(client.remote_name(found[0]), limit=found[0].length)

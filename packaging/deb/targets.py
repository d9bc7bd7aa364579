"""What can be built, and for where. Values only: nothing is read, nothing is downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_PYTHONS: Final = {"bookworm": "3.11", "trixie": "3.13"}
_RELEASES: Final = {"bookworm": "12", "trixie": "13"}
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
SUITES: Final = tuple(_PYTHONS)
ARCHES: Final = tuple(_MACHINES)


@dataclass(frozen=True, slots=True)
class Target:
    """A Debian release on an architecture, and its Python."""

    suite: str
    arch: str

    @property
    def python(self) -> str:
        return _PYTHONS[self.suite]

    @property
    def release(self) -> str:
        return _RELEASES[self.suite]

    @property
    def machine(self) -> str:
        """Return the architecture as wheels and the kernel name it."""
        return _MACHINES[self.arch]

    def pip_options(self) -> list[str]:
        """Return how pip is told to choose wheels for this target, whatever it runs on itself."""
        words = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        words += [f"--abi={abi}" for abi in (f"cp{self.python.replace('.', '')}", "abi3", "none")]
        # Both releases have a C library above 2.28, and no wheel asks for more.
        families = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
        return [*words, *(f"--platform={family}_{self.machine}" for family in families)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package: what of the project it carries, and where."""

    name: str  # of the room that it is for: agent, console
    rooms: tuple[str, ...]  # folders of our packages
    extras: tuple[str, ...]
    library: str  # where all Python lies, without the leading slash
    units: tuple[str, ...]
    pages: tuple[str, ...] = ()  # of docs/

    @property
    def debian(self) -> str:
        return f"littoral-{self.name}"

    @property
    def files(self) -> Path:
        return ROOT / "packaging/files" / self.name

    def lock(self, target: Target) -> Path:
        return ROOT / "packaging/locks" / f"{self.name}-{target.suite}-{target.arch}.txt"


PACKAGES: Final = {
    "agent": Package(
        name="agent",
        rooms=("core/littoral", "agent/littoral_agent", "agent/littoral_serve"),
        extras=("agent", "serve"),
        library="usr/lib/littoral",
        units=(
            "littoral-agent.service",
            "littoral-serve.service",
            "littoral-serve.socket",
            "littoral-control.socket",
            "littoral-trial.socket",
            "littoral-trial@.service",
            "littoral-stick@.service",
            "littoral-grpc.socket",
            "littoral-grpc.service",
        ),
        pages=("install.md", "settings.md", "errors.md", "doctor.md", "offline.md"),
    ),
    "console": Package(
        name="console",
        rooms=("core/littoral", "console/littoral_console"),
        extras=("console",),
        library="usr/lib/littoral-console",
        units=("littoral-console.service",),
        pages=("install.md", "keys-lost.md", "errors.md"),
    ),
}

# What a lock leaves out: Debian has it (python3-numpy, python3-pil), or nothing imports it.
LEFT_OUT: Final = {
    "numpy": "python3-numpy",
    "pillow": "python3-pil",
    "backports-strenum": "LiteRT's converters",
    "flatbuffers": "LiteRT's converters",
    "ml-dtypes": "LiteRT's converters",
    "protobuf": "LiteRT's converters",
    "tqdm": "LiteRT's converters",
    "pycparser": "cffi's compiler",
}

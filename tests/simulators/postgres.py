"""A PostgreSQL of one's own, in a temporary folder, on a Unix socket alone; Debian's programs.

with PostgresSimulator() as server:
    server.database()                     # the URL of a new, empty one
    server.stop(); server.start()         # as a machine that is started anew
    server.save(url), server.restore(…)   # pg_dump, and psql into the same place
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import pytest

_USER: Final = "postgres"
_LIMIT_S: Final = 60


def programs() -> Path | None:
    """Return the folder of the newest server that is installed."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((path.parent for path in found), key=lambda p: int(p.parent.name), default=None)


def missing() -> str:
    """Return why there can be none here, or nothing."""
    if programs() is None:
        return "Debian's package postgresql is not installed"
    try:
        import psycopg  # noqa: F401 (only whether it is there)
    except ImportError:
        return "the Python package psycopg is not installed"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(_USER)
        except KeyError:
            return "there is no user postgres, and root may not run a server"
    return ""


needs_postgres = pytest.mark.skipif(bool(missing()), reason=missing() or "it is here")


class PostgresSimulator:
    def __enter__(self) -> Self:
        # Not below pytest's own folder: that is root's alone.
        self._folder = Path(tempfile.mkdtemp(prefix="littoral-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER, _USER)
        self._run(
            "initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D", "data"
        )
        self._databases = 0
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c max_connections=60"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def database(self) -> str:
        """Return the URL of a new database."""
        self._databases += 1
        name = f"littoral{self._databases}"
        self._run("createdb", "-h", str(self._folder), name)
        return self._url(name)

    def sql(self, url: str, *statements: str) -> str:
        """Return what psql prints; each statement is a transaction of one session."""
        words = [part for one in statements for part in ("-c", one)]
        arguments = ("-X", "-q", "-A", "-t", "-h", str(self._folder), *words, _name(url))
        return self._run("psql", *arguments)

    def save(self, url: str) -> str:
        """Return a backup of the database."""
        return self._run("pg_dump", "--clean", "--if-exists", "-h", str(self._folder), _name(url))

    def restore(self, url: str, backup: str) -> None:
        """Put back what was saved."""
        arguments = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-h", str(self._folder), _name(url))
        self._run("psql", *arguments, said=backup)

    @cached_property
    def _as(self) -> Sequence[str]:
        if os.geteuid() != 0:
            return ()
        return ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups")

    def _url(self, name: str) -> str:
        user = _USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        return f"postgresql://{user}@/{name}?host={quote(str(self._folder), safe='')}"

    def _run(self, program: str, *arguments: str, said: str = "") -> str:
        folder = programs()
        assert folder is not None
        done = subprocess.run(
            [*self._as, str(folder / program), *arguments],
            cwd=self._folder,
            input=said,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, (program, done.stderr)
        return done.stdout or ""


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]

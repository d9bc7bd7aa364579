"""What a file system may hold after power was lost: every state that no fsync rules out.

It promises less than any file system in use, and no more than POSIX says:

1. A change of a name is there wholly or not at all. Changes of one name keep their order, those
   of different names have none. A rename within a folder is one change, between two folders
   it is two.
2. An fsync of a folder keeps all changes of names in it; of nothing else, not even its own name.
3. An fsync of a file keeps its bytes and its mode, fdatasync its bytes; neither keeps its name.
4. Of the writes since then any may be there, or a part of one (faults.crash_file). The bytes of
   a file know nothing of another's.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from faults.crash_file import File, Held, Write

MOST_NAMES: Final = 4096  # ways in which the names of one moment may be; more is an error

Slot = tuple[int, str]  # a folder, and a name in it


State = dict[str, Held | None]  # by path, below the root; None: a folder


@dataclass(eq=False)
class Naming:
    """A change of names that is there wholly or not at all: what each means after it."""

    after: dict[Slot, int | None]


class TooManyError(Exception):
    """There are more states than anybody would try."""


class Disk:
    """A file system, from what is surely on it: node 0 is the root's folder."""

    def __init__(self) -> None:
        self.files: dict[int, File] = {}
        self._folders: set[int] = {0}
        self._kept: dict[Slot, int] = {}
        self._now: dict[Slot, int] = {}
        self._namings: list[Naming] = []
        self._counter = itertools.count(1)
        self._newest: File | Naming | None = None

    # What a program does.

    def at(self, slot: Slot) -> int | None:
        """Return which node a name means."""
        return self._now.get(slot)

    def make_file(self, slot: Slot, mode: int) -> int:
        node = next(self._counter)
        self.files[node] = File(kept_mode=mode, mode=mode)
        self._name({slot: node})
        return node

    def make_folder(self, slot: Slot) -> int:
        node = next(self._counter)
        self._folders.add(node)
        self._name({slot: node})
        return node

    def remove(self, slot: Slot) -> None:
        self._name({slot: None})

    def rename(self, source: Slot, target: Slot) -> None:
        node = self._now[source]
        if source[0] == target[0]:
            self._name({source: None, target: node})
        else:
            self._name({target: node})
            self._name({source: None})

    def write(self, node: int, write: Write) -> None:
        file = self.files[node]
        file.writes.append(write)
        write.on(file.now)
        file.seen = None
        self._newest = file

    def chmod(self, node: int, mode: int) -> None:
        file = self.files[node]
        file.mode, file.seen = mode, None
        self._newest = None  # the next change shows either

    def sync(self, node: int, *, mode: bool = True) -> None:
        """Do what fsync does, or fdatasync, which leaves the ``mode``."""
        self._newest = None
        if node in self.files:
            self.files[node].sync(mode=mode)
        else:
            self._sync_folder(node)

    def is_loose(self, node: int) -> bool:
        """Whether an fsync has anything to keep."""
        if node in self.files:
            return self.files[node].loose
        return any(folder == node for one in self._namings for folder, _ in one.after)

    def _sync_folder(self, node: int) -> None:
        slots = {slot for one in self._namings for slot in one.after if slot[0] == node}
        loose = []
        for one in reversed(self._namings):
            if one.after.keys() & slots:
                slots |= one.after.keys()  # what changed the same names before is there as well
            else:
                loose.append(one)
        for one in self._namings:
            if one not in loose:
                _apply(one, self._kept)
        self._namings = loose[::-1]

    def sync_all(self) -> None:
        """Keep everything, as a disk does that had time."""
        for file in self.files.values():
            file.sync(mode=True)
        self._kept, self._namings, self._newest = dict(self._now), [], None

    # What is found.

    def now(self) -> State:
        """Return what a reader sees who is there before power is lost."""
        return {
            path: None if node in self._folders else self.files[node].held()
            for path, node in _walk(self._now, self._folders)
        }

    def path(self, node: int) -> str | None:
        """Return by what name ``node`` is found, if by any; the root's is a dot."""
        names = {n: path for path, n in _walk(self._now, self._folders)}
        return names.get(node) if node else "."

    def states(self, *, newest: bool) -> Iterator[State]:
        """Return all that may be found; ``newest``: only what the last change made possible."""
        if newest and self._newest is None:
            return
        for names in self._names(newest=newest):
            nodes = [*_walk(names, self._folders)]
            files = dict.fromkeys(n for _, n in nodes if n in self.files)
            loose = [n for n in files if self.files[n].loose]
            new = self._newest if newest and isinstance(self._newest, File) else None
            if new is not None and new not in [self.files[n] for n in loose]:
                continue  # it has no name here
            found = [self._found(node, newest=newest) for node in loose]
            for chosen in itertools.product(*found):
                held = dict(zip(loose, chosen, strict=True))
                yield {
                    path: None if n in self._folders else held.get(n) or self.files[n].held()
                    for path, n in nodes
                }

    def _found(self, node: int, *, newest: bool) -> list[Held]:
        file = self.files[node]
        return file.found(newest=newest and file is self._newest)

    def _names(self, *, newest: bool) -> Iterator[dict[Slot, int]]:
        """Return all that names may mean."""
        must = self._newest if newest and isinstance(self._newest, Naming) else None
        seen: set[frozenset[tuple[Slot, int | None]]] = set()
        for chosen in self._chosen(0, set()):
            if must is not None and must not in chosen:
                continue
            names = dict(self._kept)
            for one in chosen:
                _apply(one, names)
            key = frozenset(names.items())
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > MOST_NAMES:
                raise TooManyError(f"{len(self._namings)} names were changed since an fsync")
            yield names

    def _chosen(self, at: int, missing: set[Slot]) -> Iterator[list[Naming]]:
        """Return each set of changes of names, of which none builds on one that is not in it."""
        if at == len(self._namings):
            yield []
            return
        one = self._namings[at]
        if not missing & one.after.keys():
            yield from ([one, *rest] for rest in self._chosen(at + 1, missing))
        yield from self._chosen(at + 1, missing | one.after.keys())

    def _name(self, after: dict[Slot, int | None]) -> None:
        naming = Naming(after)
        self._namings.append(naming)
        _apply(naming, self._now)
        self._newest = naming


def _apply(naming: Naming, names: dict[Slot, int]) -> None:
    for slot, node in naming.after.items():
        if node is None:
            names.pop(slot, None)
        else:
            names[slot] = node


def _walk(names: dict[Slot, int], folders: set[int]) -> Iterator[tuple[str, int]]:
    """Return every path below the root, folders before what is in them."""
    below: dict[int, list[tuple[str, int]]] = {}
    for (folder, name), node in names.items():
        below.setdefault(folder, []).append((name, node))
    todo = [("", 0)]
    while todo:
        path, folder = todo.pop()
        for name, node in sorted(below.get(folder, [])):
            yield f"{path}{name}", node
            if node in folders:
                todo.append((f"{path}{name}/", node))

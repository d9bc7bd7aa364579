"""COLLECT: the files that nobody needs are deleted."""

from collections.abc import Collection, Mapping

from littoral.tree import Tree
from littoral.wire.journal import Journal
from littoral_agent import holdings


def do(tree: Tree, journals: Mapping[str, Journal], named: Collection[str]) -> None:
    """Keep what the journals need, and what has arrived of the manifests that are ``named``.

    It is done while no journal changes: what begins to arrive meanwhile would be deleted.
    """
    if holdings.lost(tree) - journals.keys():
        return  # a model is not proven again yet: its files are nobody's, and must stay
    needed = [
        one
        for held in journals.values()
        for one in (held.good, held.candidate, *held.kept)
        if one is not None
    ]
    bad = {sha256 for held in journals.values() for sha256 in held.quarantine}
    holdings.collect(tree, needed, named=frozenset(named) - bad)

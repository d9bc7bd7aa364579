"""The life of a newer key: its table, its page, and a kill at any moment of it."""

import itertools
import re
from pathlib import Path
from typing import Literal

import pytest

from littoral_agent.identity import Enrolment, Identity
from littoral_agent.renewal import TABLE, Do, Event, Files, State
from simulators.disk import Disk

PAGE = Path(__file__).parents[2] / "docs/identity.md"


def test_the_page_has_the_tables_states_and_events() -> None:
    told = PAGE.read_text().partition("### Rotation")[2]
    for kind in (State, Event):
        for one in kind:
            assert re.search(rf"^\| `{one.value}` \|", told, re.MULTILINE), one


def test_the_page_has_the_tables_transitions() -> None:
    told = PAGE.read_text().partition("| in | at | it does | and is |\n|---|---|---|---|\n")[2]
    rows = told.partition("\n\n")[0].splitlines()
    assert rows == [
        f"| `{before.value}` | `{event.value}` | {f'`{deed.value}`' if deed else 'nothing'} "
        f"| `{after.value}` |"
        for (before, event), (after, deed) in TABLE.items()
    ]


def test_every_state_is_left_and_a_power_cut_is_a_row_of_each() -> None:
    for state in State:
        assert (state, Event.WOKE) in TABLE
        assert any(
            before is state and after is not state for (before, _), (after, _) in TABLE.items()
        )


def device(folder: Path) -> Files:
    who = Identity(folder / "identity")
    who.folder.mkdir(parents=True)
    who.key.write_text("key 1")
    who.certificate.write_text("certificate 1")
    who.write(Enrolment(device="pi-7", fleet="coast", incarnation=2, url="https://console"))
    return Files(who, 2)


def make(files: Files) -> None:
    files.folder.mkdir(exist_ok=True)
    files.newer.key.write_text("key 2")


def shown(files: Files) -> tuple[str, str]:
    pair = files.pair()
    return pair.key.read_text(), pair.certificate.read_text()


OLD, NEW = ("key 1", "certificate 1"), ("key 2", "certificate 2")


@pytest.mark.parametrize(("before", "event"), TABLE)
def test_what_a_deed_leaves_on_the_disk_is_the_state_that_the_table_names(
    tmp_path: Path, before: State, event: Event
) -> None:
    files = device(tmp_path)
    if before is not State.STEADY:
        make(files)
    if before in (State.HELD, State.PROVEN):
        files.keep("certificate 2")
    if before is State.PROVEN:
        files.promise()
    assert files.state is before
    after, deed = TABLE[before, event]
    match deed:
        case Do.MAKE:
            make(files)
        case Do.KEEP:
            files.keep("certificate 2")
        case Do.PLACE:
            files.promise()
            assert files.state is State.PROVEN
            files.place()
        case Do.DROP:
            files.drop()
        case None:
            pass
    assert files.state is after


def test_the_state_is_what_lies_on_the_disk(tmp_path: Path) -> None:
    files = device(tmp_path)
    assert (files.state, shown(files)) == (State.STEADY, OLD)
    make(files)
    assert (files.state, shown(files)) == (State.ASKING, OLD)
    files.keep("certificate 2")
    assert (files.state, shown(files)) == (State.HELD, NEW)
    assert files.pair().newer
    files.promise()
    assert (files.state, shown(files)) == (State.PROVEN, NEW)
    assert not files.pair().newer
    files.place()
    assert (files.state, shown(files)) == (State.STEADY, NEW)
    assert files.who.key.read_text() == "key 2"


def test_what_is_refused_is_dropped(tmp_path: Path) -> None:
    files = device(tmp_path)
    make(files)
    files.keep("certificate 2")
    files.drop()
    assert (files.state, shown(files)) == (State.STEADY, OLD)


@pytest.mark.parametrize("keeps", ["all", "synced", "names"])
def test_a_cut_at_any_moment_leaves_a_pair_that_fits_and_that_somebody_takes(
    tmp_path: Path, keeps: Literal["all", "synced", "names"]
) -> None:
    for n in itertools.count():
        files = device(tmp_path / f"{n}")
        make(files)
        heard_by_newer = False
        with Disk(files.who.folder, cut_at=n, keeps=keeps) as disk:
            files.keep("certificate 2")
            assert shown(files) == NEW
            heard_by_newer = True  # from here on the console may have ended the earlier one
            files.promise()
            files.place()
        woken = Files(files.who, 2)
        found = shown(woken)
        assert found in ((NEW,) if heard_by_newer else (OLD, NEW)), n
        if woken.state is State.PROVEN:
            woken.place()
            assert (woken.state, shown(woken)) == (State.STEADY, NEW), n
        if not disk.was_cut:
            break
    assert n > 12


@pytest.mark.parametrize("keeps", ["all", "synced"])
def test_a_cut_while_it_is_dropped_leaves_the_present_pair(
    tmp_path: Path, keeps: Literal["all", "synced"]
) -> None:
    for n in itertools.count():
        files = device(tmp_path / f"{n}")
        make(files)
        files.keep("certificate 2")
        with Disk(files.who.folder, cut_at=n, keeps=keeps) as disk:
            files.drop()
        assert shown(files) in (OLD, NEW), n
        files.drop()
        assert (files.state, shown(files)) == (State.STEADY, OLD), n
        if not disk.was_cut:
            break


def test_a_kill_leaves_no_copy_of_a_newer_key(tmp_path: Path) -> None:
    files = device(tmp_path)
    make(files)
    begun = files.folder / ".device.key.77.new"
    begun.write_text("key 3, or half of it")
    files.sweep()
    assert not begun.exists()
    assert files.state is State.ASKING


def test_what_an_earlier_incarnation_left_is_nobodys(tmp_path: Path) -> None:
    files = device(tmp_path)
    make(files)
    files.keep("certificate 2")
    files.promise()
    files.who.key.write_text("key of 3")
    files.who.certificate.write_text("certificate of 3")
    files.who.write(Enrolment(device="pi-7", fleet="coast", incarnation=3, url="https://console"))
    anew = Files(files.who, 3)
    assert (anew.state, shown(anew)) == (State.STEADY, ("key of 3", "certificate of 3"))
    files.place()
    assert shown(anew) == ("key of 3", "certificate of 3")

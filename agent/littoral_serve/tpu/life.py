"""The life of a seat: the place of one TPU's child. A table, and nothing else: docs/edgetpu.md.

The child may end at any moment, with the library that drives the TPU: a stick is pulled, a cable
is poor, a model is one that the library does not survive. In every state that is one row.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    OFF = "off"  # no model is for a TPU: no process
    OPENING = "opening"  # its process starts, and opens a TPU
    READY = "ready"  # it has one, and nothing to do
    BUSY = "busy"  # it does as it was ordered: loads a model, runs one, drops one
    AWAY = "away"  # it ended; another one starts when the pause is over
    LENT = "lent"  # its TPU is a candidate's, for the time of the trial


class Event(StrEnum):
    NEEDED = "needed"  # a model is for it
    OPENED = "opened"  # it says which TPU it has
    LACKING = "lacking"  # it says why it has none
    ORDERED = "ordered"  # there is something for it to do
    ANSWERED = "answered"  # it did that, or says why not
    LATE = "late"  # it said nothing in time
    ENDED = "ended"  # it is not there any more
    DUE = "due"  # the pause is over
    SOUGHT = "sought"  # a candidate is to be tried on its TPU
    RETURNED = "returned"  # the trial is over
    SPARED = "spared"  # no model is for it any more


class Do(StrEnum):
    START = "start"  # a process, with open_s to say which TPU it has
    SEND = "send"  # the order, with as long to answer as it has
    GIVE = "give"  # the answer, to whoever asked
    FAIL = "fail"  # the order: who asked is told that the child is lost
    NEXT = "next"  # find something to do: a model that is not loaded there yet, then requests
    END = "end"  # kill the process, which can be done to one that is gone
    TELL = "tell"  # say in the log why there is none
    PAUSE = "pause"  # wait: longer each time, anew after steady_s that went well
    LEND = "lend"  # the trial may begin


Row = tuple[State, tuple[Do, ...]]

TABLE: Final[dict[tuple[State, Event], Row]] = {
    (State.OFF, Event.NEEDED): (State.OPENING, (Do.START,)),
    (State.OFF, Event.SOUGHT): (State.LENT, (Do.LEND,)),
    (State.OPENING, Event.OPENED): (State.READY, (Do.NEXT,)),
    (State.OPENING, Event.LACKING): (State.AWAY, (Do.END, Do.TELL, Do.PAUSE)),
    (State.OPENING, Event.LATE): (State.AWAY, (Do.END, Do.TELL, Do.PAUSE)),
    (State.OPENING, Event.ENDED): (State.AWAY, (Do.END, Do.TELL, Do.PAUSE)),
    (State.OPENING, Event.SOUGHT): (State.LENT, (Do.END, Do.LEND)),
    (State.OPENING, Event.SPARED): (State.OFF, (Do.END,)),
    (State.READY, Event.ORDERED): (State.BUSY, (Do.SEND,)),
    (State.READY, Event.ENDED): (State.AWAY, (Do.END, Do.TELL, Do.PAUSE)),
    (State.READY, Event.SOUGHT): (State.LENT, (Do.END, Do.LEND)),
    (State.READY, Event.SPARED): (State.OFF, (Do.END,)),
    (State.BUSY, Event.ANSWERED): (State.READY, (Do.GIVE, Do.NEXT)),
    (State.BUSY, Event.LATE): (State.AWAY, (Do.END, Do.TELL, Do.PAUSE, Do.FAIL)),
    (State.BUSY, Event.ENDED): (State.AWAY, (Do.END, Do.TELL, Do.PAUSE, Do.FAIL)),
    (State.BUSY, Event.SPARED): (State.OFF, (Do.END, Do.FAIL)),
    (State.AWAY, Event.DUE): (State.OPENING, (Do.START,)),
    (State.AWAY, Event.SOUGHT): (State.LENT, (Do.LEND,)),
    (State.AWAY, Event.SPARED): (State.OFF, ()),
    (State.LENT, Event.RETURNED): (State.OPENING, (Do.START,)),
    (State.LENT, Event.SPARED): (State.OFF, ()),
}


def step(state: State, event: Event) -> Row:
    """Return the next state, and what is to be done, in this order. Raises ValueError."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise ValueError(f"a seat is {state}: nobody thought of {event}") from None

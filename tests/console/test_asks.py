"""Whose turn it is, of those who ask for files over the broker."""

from littoral.wire.blocks import MOST_ASKED, MOST_ASKS, MOST_BLOCK, MOST_UNHEARD, Ask
from littoral_console.asks import COST_BYTES, FORGIVEN_BYTES_PER_S, MOST_DEVICES, Asks, Turn

TOTAL = 10 * 2**20


def ask(number: int, start: int = 0, length: int = MOST_ASKED, *, seen: int = 0) -> Ask:
    return Ask(number=number, console="a", start=start, length=length, seen=seen, name="blobs/x")


class Giver:
    """Answers, and remembers what it answered."""

    def __init__(self) -> None:
        self.asks, self.marks, self.turns = Asks(), 0, list[Turn]()

    def give(self, *, most: int = 1000) -> list[str]:
        """Answer whatever there is; return to whom, in order."""
        given: list[str] = []
        while len(given) < most and (turn := self.asks.next()) is not None:
            self.end(turn)
            given.append(turn.device)
        return given

    def end(self, turn: Turn) -> None:
        self.marks += 1
        self.turns.append(turn)
        self.asks.done(turn, mark=self.marks, sent=turn.length, total=TOTAL)


def test_devices_take_turns_at_a_block_each_whatever_they_ask() -> None:
    giver = Giver()
    for n in range(MOST_ASKS):
        giver.asks.put("greedy", ask(n, n * MOST_ASKED), now=0)
    giver.asks.put("modest", ask(1, length=2 * MOST_BLOCK), now=0)
    giver.asks.put("late", ask(1, length=100), now=0)
    assert giver.give(most=6) == ["greedy", "modest", "late", "greedy", "modest", "greedy"]


def test_who_asks_for_little_at_once_has_as_much_of_it() -> None:
    giver = Giver()
    for n in range(MOST_ASKS):
        giver.asks.put("early", ask(n, n * MOST_ASKED), now=0)
        giver.asks.put("late", ask(n, n * 4096, 4096), now=0)
        giver.asks.put("idle", ask(n, n, length=0), now=0)
    while (turn := giver.asks.next()) is not None and len(giver.turns) < 200:
        giver.end(turn)
        had = sum(one.length for one in giver.turns if one.device == "early")
        late = sum(one.length for one in giver.turns if one.device == "late")
        if late < MOST_ASKS * 4096:
            assert abs(had - late) <= 2 * MOST_BLOCK
        if len([one for one in giver.turns if one.device == "idle"]) < MOST_ASKS:
            assert had <= 2 * MOST_BLOCK, "questions without bytes take turns as well"


def test_an_ask_is_answered_block_by_block_in_order_and_to_its_end() -> None:
    giver = Giver()
    giver.asks.put("pi", ask(1, 100, 2 * MOST_BLOCK + 5), now=0)
    giver.asks.put("pi", ask(2, 70_000, 10), now=0)
    giver.give()
    first = [(t.ask.number, t.ask.start, t.length) for t in giver.turns]
    assert first == [
        (1, 100, MOST_BLOCK),
        (1, 100 + MOST_BLOCK, MOST_BLOCK),
        (1, 100 + 2 * MOST_BLOCK, 5),
        (2, 70_000, 10),
    ]


def test_a_file_ends_where_it_ends_and_a_question_without_bytes_has_one_answer() -> None:
    giver = Giver()
    giver.asks.put("pi", ask(1, TOTAL - 5, MOST_BLOCK), now=0)
    giver.asks.put("pi", ask(2, length=0), now=0)
    assert giver.give() == ["pi", "pi"]


def test_the_newest_asks_of_a_device_count() -> None:
    giver = Giver()
    for n in range(100):
        giver.asks.put("pi", ask(n, n * 10, 5), now=0)
    giver.give()
    assert [turn.ask.number for turn in giver.turns] == list(range(100 - MOST_ASKS, 100))


def test_what_is_asked_for_again_is_not_sent_twice_while_it_waits() -> None:
    giver = Giver()
    giver.asks.put("pi", ask(1, 0, 2 * MOST_BLOCK), now=0)
    giver.asks.put("pi", ask(2, 0, 2 * MOST_BLOCK), now=0)
    giver.give()
    assert [(t.ask.number, t.ask.start) for t in giver.turns] == [(2, 0), (2, MOST_BLOCK)]
    giver.turns.clear()
    giver.asks.put("pi", ask(3, 0, 2 * MOST_BLOCK), now=0)
    turn = giver.asks.next()
    assert turn is not None
    giver.asks.put("pi", ask(4, MOST_BLOCK, MOST_BLOCK), now=0)  # while the first is on its way
    giver.end(turn)
    giver.give()
    assert [(t.ask.number, t.ask.start) for t in giver.turns] == [(3, 0), (4, MOST_BLOCK)]


def test_who_never_reads_is_sent_so_much_and_hardly_more() -> None:
    giver = Giver()
    for n in range(10_000):
        giver.asks.put("deaf", ask(n, n * MOST_BLOCK, MOST_BLOCK, seen=12345), now=n / 1000)
        giver.give()
    sent = sum(turn.length + COST_BYTES for turn in giver.turns)
    assert MOST_UNHEARD - MOST_BLOCK - COST_BYTES < sent <= MOST_UNHEARD + 10 * FORGIVEN_BYTES_PER_S
    giver.asks.put("pi", ask(1, length=10), now=10)
    assert giver.give() == ["pi"], "and others are answered"


def test_questions_without_bytes_cost_as_well() -> None:
    giver = Giver()
    for n in range(10_000):
        giver.asks.put("deaf", ask(n, length=0), now=0)
        giver.give()
    assert len(giver.turns) == MOST_UNHEARD // COST_BYTES


def test_who_shows_what_it_heard_is_sent_all() -> None:
    giver = Giver()
    for n in range(400):
        giver.asks.put(
            "pi", ask(n, n * MOST_BLOCK, MOST_BLOCK, seen=max(0, giver.marks - 9)), now=0
        )
        giver.give()
    assert len(giver.turns) == 400


def test_who_lost_all_of_it_is_sent_more_in_time() -> None:
    giver = Giver()
    for n in range(100):
        giver.asks.put("pi", ask(n, n * MOST_BLOCK, MOST_BLOCK), now=0)
        giver.give()
    before = len(giver.turns)
    later_s = 2 * (MOST_BLOCK + COST_BYTES) / FORGIVEN_BYTES_PER_S
    giver.asks.put("pi", ask(500, 0, MOST_BLOCK), now=later_s)
    giver.give()
    assert before < len(giver.turns) <= before + 3


def test_who_is_dropped_gets_nothing_until_it_asks_again() -> None:
    giver = Giver()
    giver.asks.put("pi", ask(1), now=0)
    turn = giver.asks.next()
    assert turn is not None
    giver.asks.drop("pi")
    giver.end(turn)
    assert giver.give() == []
    giver.asks.put("pi", ask(2, length=9), now=0)
    giver.asks.drop("pi")
    giver.asks.put("pi", ask(3, length=9), now=0)
    assert giver.give() == ["pi"]


def test_names_that_anybody_makes_up_take_so_much_memory_and_no_more() -> None:
    giver = Giver()
    for n in range(MOST_DEVICES + 100):
        giver.asks.put(f"made-up-{n}", ask(1, length=9), now=n)
        giver.asks.put("pi", ask(n, n, length=9), now=n)
    assert len(giver.asks._devices) == MOST_DEVICES
    given = giver.give(most=MOST_DEVICES + 1000)
    assert "pi" in given, "who asks is not forgotten"
    assert "made-up-0" not in given


def test_who_never_shows_what_it_heard_takes_no_more_memory_for_it() -> None:
    giver, count = Giver(), 3 * MOST_UNHEARD // COST_BYTES
    for n in range(count):
        giver.asks.put("deaf", ask(n, n, length=0), now=n * COST_BYTES / FORGIVEN_BYTES_PER_S)
        giver.give()
    assert len(giver.turns) == count
    (held,) = giver.asks._devices.values()
    assert len(held.marks) <= MOST_UNHEARD // COST_BYTES

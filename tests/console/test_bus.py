"""Whoever waits for a device's document hears of it, and nobody is told of another's."""

import asyncio

from littoral_console.bus import Bus


def test_who_listens_hears_of_its_device_alone() -> None:
    async def story() -> None:
        bus = Bus()
        with bus.listening("edge-1") as mine, bus.listening("edge-2") as other:
            bus.announce(["edge-1"])
            assert mine.is_set()
            assert not other.is_set()
        assert not bus._waiting

    asyncio.run(story())


def test_the_reader_gets_each_device_once_however_often_it_changed() -> None:
    async def story() -> None:
        bus = Bus()
        for _ in range(3):
            bus.announce(["edge-1", "edge-2"])
        assert {await bus.announced(), await bus.announced()} == {"edge-1", "edge-2"}
        reader = asyncio.create_task(bus.announced())
        await asyncio.sleep(0.01)
        assert not reader.done()
        bus.announce(["edge-3"])
        assert await reader == "edge-3"

    asyncio.run(story())

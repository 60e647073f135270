"""The line before a full arena, as the page's own protocol carries it; and a few seconds of the soak benchmark."""

import asyncio
from pathlib import Path

import pytest

from arena.battle import line
from arena.battle.line import Line, place_in_line
from benchmarks import soak
from benchmarks.visitor import Visitor
from tests.scripting import Fault, Script
from tests.ui_fixtures import arena_site


@pytest.mark.parametrize(
    ("place", "told"), [(1, "next"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (21, "21st")]
)
def test_a_place_is_told_as_people_count(place: int, told: str) -> None:
    assert f"You are {told} in line" in place_in_line(place)


async def test_whoever_stands_far_behind_learns_their_place_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def wait(served: asyncio.Event, seconds: float) -> None:
        waited.append(seconds)
        served.set()

    monkeypatch.setattr(line, "_wait", wait)
    full = Line(limit=1, longest=500)
    full.join("whoever plays")
    tickets = [full.join(f"visitor {number}") for number in range(400)]

    told = [[place async for place in full.places(tickets[place - 1])] for place in (1, 20, 200, 400)]

    assert told == [[1], [20], [200], [400]]
    assert waited == [2.0, 2.0, 20.0, 40.0]


async def test_while_visitors_wait_in_line_votes_and_pages_are_answered(tmp_path: Path) -> None:
    with arena_site(tmp_path, max_battles=1) as site:
        port = int(site.url.rpartition(":")[2])
        voter, reader, waiting = Visitor(port), Visitor(port), Visitor(port)
        protocol = await voter.open()
        async with asyncio.timeout(10):
            while len(site.parts.fleet.drawable()) < 2:
                await asyncio.sleep(0.01)
        finished = await voter.fight(protocol)
        site.script(Script(text="A silent one.", fault=Fault.STALL_MIDWAY, fault_after=1))
        await reader.settle(protocol)
        await waiting.settle(protocol)
        running = asyncio.create_task(reader.fight(protocol))
        await site.llm.until(lambda server: sum(server.stalled.values()) == 2)
        queued = asyncio.create_task(waiting.fight(protocol))
        async with asyncio.timeout(10):
            while not site.parts.arena.waiting:
                await asyncio.sleep(0.01)

        await voter.vote(protocol, finished)
        assert finished.vote is not None
        assert await Visitor(port).open() == protocol

        for model in list(site.llm.scripts):
            site.llm.release(model)
        site.script(Script(text="A quick one."))
        assert (await running).complete
        watched = await queued
        assert watched.complete
        assert watched.queued
        await waiting.vote(protocol, watched)
        assert watched.vote is not None
        for visitor in (voter, reader, waiting):
            visitor.leave()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_some_seconds_of_mixed_traffic_leave_nothing_behind() -> None:
    assert soak.run(3, 3, 0.05) == []

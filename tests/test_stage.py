import asyncio
import random
import time
from collections.abc import Collection, Sequence
from itertools import count, pairwise
from typing import Any

import pytest

from arena.battle.pacing import STILL_S, CommonPace, LivePace, Progress, Shown
from arena.battle.seats import Part
from arena.battle.stage import Frame, Stage
from arena.battle.tempo import Tempo
from arena.errors import FailureKind
from arena.providers.base import Message
from tests.battle_fixtures import LONG, MakeWorld, World, hung_up, llm, make_world, world
from tests.provider_asking import eventually
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Behaviour, Fault, Recorded, Script

__all__ = ["llm", "make_world", "world"]

FRAME_S = 0.1
HELLO = (Message("user", "Hello"),)


# ── the pace, as a pure rule ────────────────────────────────────────────────────────────────────────────────────────


class Writer:
    """A stream that writes `length` characters at `rate` a second from `begins` on."""

    def __init__(self, length: int, rate: float, begins: float = 0.0, lingers: float = 0.0) -> None:
        self.length, self.rate, self.begins, self.lingers = length, rate, begins, lingers

    def at(self, now: float) -> Progress:
        received = min(self.length, max(0, int((now - self.begins) * self.rate)))
        return Progress(received, now >= self.begins + self.length / self.rate + self.lingers)


def _play(a: Writer, b: Writer, characters_per_s: float = 600) -> list[tuple[float, Progress, Progress, Shown]]:
    pace = CommonPace(characters_per_s, FRAME_S)
    played = []
    for frame in count():
        now = frame * FRAME_S
        sides = a.at(now), b.at(now)
        shown = pace.step(now, *sides)
        played.append((now, *sides, shown))
        if shown.over:
            return played
    raise AssertionError


def _random_writers(seed: int) -> tuple[Writer, Writer]:
    rng = random.Random(seed)

    def writer() -> Writer:
        return Writer(rng.randint(1, 3000), rng.choice([15, 200, 900, 50_000]), rng.uniform(0, 5), rng.uniform(0, 2))

    return writer(), writer()


@pytest.mark.parametrize("seed", range(25))
def test_both_panes_show_the_same_number_of_characters_until_both_streams_have_ended(seed: int) -> None:
    for _, a, b, shown in _play(*_random_writers(seed)):
        if not (a.ended and b.ended):
            assert shown.lengths[0] == shown.lengths[1] <= min(a.length, b.length)


@pytest.mark.parametrize("seed", range(25))
def test_text_comes_at_the_pace_at_most_and_never_goes_away(seed: int) -> None:
    played = _play(*_random_writers(seed))

    for (_, _, _, before), (_, _, _, after) in pairwise(played):
        for old, new in zip(before.lengths, after.lengths, strict=True):
            assert 0 <= new - old <= 600 * FRAME_S + 1
    assert played[-1][3].lengths == (played[-1][1].length, played[-1][2].length)


@pytest.mark.parametrize("seed", range(25))
def test_nothing_on_the_page_tells_which_stream_is_the_fast_one(seed: int) -> None:
    """Exchanging the two streams changes nothing that can be seen but which answer is the longer one, at the end."""
    a, b = _random_writers(seed)
    straight, crossed = _play(a, b), _play(b, a)

    for (_, _, _, shown), (_, _, _, swapped) in zip(straight, crossed, strict=True):
        assert shown.lengths == swapped.lengths[::-1]
        assert shown.waiting == swapped.waiting
        assert shown.waiting[0] == shown.waiting[1]


def test_nothing_is_shown_before_both_have_begun() -> None:
    played = _play(Writer(500, 50_000), Writer(500, 50_000, begins=3.0))

    assert all(shown.lengths == (0, 0) and shown.waiting == (True, True) for now, _, _, shown in played if now < 3.0)


def test_the_rest_of_the_longer_answer_is_held_until_its_stream_has_ended() -> None:
    played = _play(Writer(100, 50_000), Writer(1000, 500))

    held = [shown for now, _, _, shown in played if 0.5 < now < 1.95]
    assert {shown.lengths for shown in held} == {(100, 100)}
    assert held[-1].waiting == (True, True)
    after = [shown.lengths[1] for now, _, _, shown in played if now >= 2.0]
    assert after[0] == pytest.approx(160, abs=1)
    assert after[-1] == 1000


def test_a_silence_is_not_caught_up_in_a_burst() -> None:
    pace = CommonPace(600, FRAME_S)
    pace.step(0.0, Progress(60, False), Progress(60, False))
    for frame in range(1, 50):
        pace.step(frame * FRAME_S, Progress(60, False), Progress(60, False))

    shown = pace.step(5.0, Progress(5000, False), Progress(5000, False))

    assert shown.lengths[0] == shown.lengths[1] == pytest.approx(120, abs=1)


def test_a_silent_pane_says_that_more_is_to_come_only_after_a_while() -> None:
    pace = CommonPace(600, FRAME_S)
    writing = Progress(10, False)

    waiting = [pace.step(frame * FRAME_S, writing, writing).waiting for frame in range(15)]

    assert waiting == [(False, False)] * round(STILL_S / FRAME_S) + [(True, True)] * (15 - round(STILL_S / FRAME_S))


def test_when_a_side_has_failed_the_other_is_shown_as_it_comes() -> None:
    pace = CommonPace(600, FRAME_S)
    pace.step(0.0, Progress(40, False), Progress(40, False))

    shown = pace.step(0.1, Progress(300, True, failed=True), Progress(90, False))
    end = pace.step(0.2, Progress(300, True, failed=True), Progress(90, True))

    assert (shown.lengths, shown.over) == ((40, 90), False)
    assert (end.lengths, end.over) == ((40, 90), True)


def test_when_both_have_failed_it_is_over() -> None:
    failed = Progress(0, True, failed=True)

    assert CommonPace(600, FRAME_S).step(0.0, failed, failed).over
    assert LivePace().step(0.0, failed, failed).over


def test_live_text_is_shown_as_it_comes() -> None:
    pace = LivePace()

    shown = pace.step(0.0, Progress(5000, True), Progress(0, False))

    assert (shown.lengths, shown.waiting, shown.over) == ((5000, 0), (False, True), False)


# ── two seats over a real socket ────────────────────────────────────────────────────────────────────────────────────


def _stage(world: World, replacements: Sequence[str] | None = None, a: str = "tortoise", b: str = "hare") -> Stage:
    """A stage of two models; whoever fails is replaced by the next of `replacements` that may be."""

    def draw(opponent: str, tried: Collection[str]) -> str | None:
        return next((name for name in replacements or () if name != opponent and name not in tried), None)

    parts = Part(a, HELLO), Part(b, HELLO)
    return Stage(
        world.fleet,
        world.settings,
        parts,
        None if replacements is None else draw,
        tempo=Tempo(world.settings.frames_per_s, lambda: 1),
    )


async def _frames(stage: Stage) -> list[Frame]:
    stage.start(asyncio.get_running_loop().time())
    return [frame async for frame in stage.frames()]


def _asked(stage: Stage, side: int) -> list[tuple[str, FailureKind | None]]:
    """Each attempt at a seat: the model, and how it failed."""
    attempts = stage.seats[side].attempts
    return [(a.model.id, a.progress.error.kind if a.progress.error else None) for a in attempts]


def _in_turn(*scripts: Script) -> Behaviour:
    """Answer each request by the next script, then always by the last."""
    left = list(scripts)

    def choose(_: Recorded) -> Script:
        return left.pop(0) if len(left) > 1 else left[0]

    return choose


async def test_both_models_are_asked_at_once(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["tortoise"] = llm.scripts["hare"] = Script(fault=Fault.STALL_HEADERS)
    stage = _stage(world)
    showing = asyncio.create_task(_frames(stage))

    await llm.until(lambda server: server.stalled["tortoise"] == server.stalled["hare"] == 1)

    llm.release("tortoise")
    llm.release("hare")
    assert (await showing)[-1].texts == ("A short and honest answer.",) * 2


async def test_a_fast_answer_is_not_seen_before_the_slow_one_begins(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["tortoise"] = Script(text=LONG, fault=Fault.STALL_FIRST)
    stage = _stage(world)
    stage.start(asyncio.get_running_loop().time())
    frames = stage.frames()
    first = await anext(frames)
    following = asyncio.create_task(anext(frames))

    await llm.until(lambda server: "hare" in server.told and server.stalled["tortoise"] == 1)
    silent = not following.done()
    llm.release("tortoise")

    assert (first.texts, first.waiting, silent) == (("", ""), (True, True), True)
    assert all((await following).texts)
    await frames.aclose()
    stage.stop()
    await stage.stopped_streams()


async def test_two_streams_of_different_speed_advance_together(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(pace_characters_per_s=4000)
    llm.scripts["tortoise"] = Script(text=LONG, chunk_characters=20, chunk_delay_s=0.01)
    llm.scripts["hare"] = Script(text=LONG.upper())

    stage = _stage(world)
    frames = await _frames(stage)

    lengths = [tuple(map(len, frame.texts)) for frame in frames]
    assert len(set(lengths)) > 5
    assert all(a == b for a, b in lengths)
    assert frames[-1].texts == (LONG, LONG.upper())


@pytest.mark.parametrize("fault", [500, 429, 503, Fault.DROP_AT_ONCE, Fault.CUT, Fault.BAD_JSON])
async def test_a_passing_failure_is_retried_once_with_the_same_model(
    world: World, llm: ScriptedOpenAI, fault: Fault | int
) -> None:
    llm.scripts["tortoise"] = _in_turn(Script(fault=fault, fault_after=0), Script(text="Here I am."))
    stage = _stage(world, ["fox"])

    frames = await _frames(stage)

    assert [model for model, _ in _asked(stage, 0)] == ["tortoise", "tortoise"]
    assert stage.complete
    assert frames[-1].texts[0] == "Here I am."


async def test_a_model_that_fails_twice_gives_its_seat_to_another(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["tortoise"] = Script(fault=500)
    stage = _stage(world, ["hare", "tortoise", "fox"])

    await _frames(stage)

    broken = FailureKind.SERVER_ERROR
    assert _asked(stage, 0) == [("tortoise", broken), ("tortoise", broken), ("fox", None)]
    assert [attempt.number for attempt in stage.seats[0].attempts] == [1, 2, 3]
    assert stage.complete


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(401, FailureKind.UNAUTHORISED), (404, FailureKind.NOT_FOUND), (400, FailureKind.BAD_REQUEST)],
)
async def test_a_failure_that_would_come_again_is_not_retried(
    world: World, llm: ScriptedOpenAI, fault: int, kind: FailureKind
) -> None:
    llm.scripts["hare"] = Script(fault=fault)
    stage = _stage(world, ["fox"])

    await _frames(stage)

    assert _asked(stage, 1) == [("hare", kind), ("fox", None)]


async def test_a_stalled_model_is_given_up_and_not_asked_again(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(first_token_s=0.2)
    llm.scripts["tortoise"] = Script(fault=Fault.STALL_FIRST)
    stage = _stage(world, ["fox"])
    started = time.monotonic()

    await _frames(stage)

    assert _asked(stage, 0) == [("tortoise", FailureKind.NO_FIRST_TOKEN), ("fox", None)]
    assert 0.2 <= time.monotonic() - started < 1.5
    await llm.until(lambda server: "tortoise" in server.hung_up)


async def test_all_attempts_at_a_seat_share_one_deadline(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(first_token_s=0.25, first_text_s=0.4)
    for name in ("tortoise", "fox", "heron"):
        llm.scripts[name] = Script(fault=Fault.STALL_HEADERS)
    stage = _stage(world, ["fox", "heron"])

    frames = await _frames(stage)

    late = FailureKind.NO_FIRST_TOKEN
    assert _asked(stage, 0) == [("tortoise", late), ("fox", late)]
    assert stage.seats[0].failed
    assert not stage.complete
    assert frames[-1].failed
    assert frames[-1].texts == ("", "The hare says: first see what you want.")
    await llm.until(lambda server: not server.open_streams)


async def test_thinking_is_no_text(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(first_token_s=5, first_text_s=0.3)
    llm.scripts["tortoise"] = Script(reasoning="Let me think.", fault=Fault.STALL_FIRST)
    stage = _stage(world)

    await _frames(stage)

    assert _asked(stage, 0) == [("tortoise", FailureKind.NO_FIRST_TOKEN)]
    assert stage.seats[0].current.progress.reasoning == "Let me think."
    await llm.until(lambda server: not server.open_streams)


async def test_text_that_nobody_saw_may_still_be_replaced(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["tortoise"] = _in_turn(Script(text="Never to be seen.", fault=Fault.CUT), Script(text="Seen."))
    llm.scripts["hare"] = Script(fault=Fault.STALL_FIRST)
    stage = _stage(world, ["fox"])
    showing = asyncio.create_task(_frames(stage))

    await llm.until(lambda server: len(server.requests) == 3 and server.stalled["hare"] == 1)
    llm.release("hare")
    frames = await showing

    assert stage.complete
    assert not any("Never" in frame.texts[0] for frame in frames)
    assert frames[-1].texts[0] == "Seen."


async def test_the_text_of_a_failed_attempt_is_not_shown_while_the_next_one_is_awaited(
    world: World, llm: ScriptedOpenAI
) -> None:
    llm.scripts["tortoise"] = _in_turn(Script(text="Never to be seen.", fault=Fault.CUT), Script(text="Seen."))
    llm.scripts["hare"] = Script(fault=Fault.STALL_FIRST)
    stage = _stage(world, ["fox"])
    showing = asyncio.create_task(_frames(stage))

    failed = stage.seats[0].current.progress
    await llm.until(lambda server: server.stalled["hare"] == 1)
    await eventually(lambda: failed.error is not None)
    llm.release("hare")
    frames = await showing

    assert not any("Never" in frame.texts[0] for frame in frames)
    assert frames[-1].texts[0] == "Seen."
    assert stage.complete


async def test_a_failure_after_text_was_shown_ends_the_battle_and_the_other_answer_stays(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(silence_s=0.3, pace_characters_per_s=2000)
    llm.scripts["tortoise"] = Script(text=LONG, fault=Fault.STALL_MIDWAY, fault_after=4)
    llm.scripts["hare"] = Script(text=LONG, chunk_delay_s=0.002)
    stage = _stage(world, ["fox"])

    frames = await _frames(stage)

    assert _asked(stage, 0) == [("tortoise", FailureKind.SILENCE)]
    assert frames[-1].failed
    assert not stage.complete
    assert frames[-1].texts == ("Step by step the ", LONG)


async def test_both_seats_may_be_replaced_and_no_failed_model_is_drawn_again(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["tortoise"] = llm.scripts["hare"] = Script(fault=404)
    stage = _stage(world, ["tortoise", "hare", "fox", "heron"])

    await _frames(stage)

    assert {_asked(stage, side)[-1] for side in (0, 1)} == {("fox", None), ("heron", None)}


async def test_a_model_that_nobody_may_replace_gets_a_second_try(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["tortoise"] = _in_turn(Script(fault=Fault.EMPTY), Script(text="There."))
    llm.scripts["hare"] = Script(fault=Fault.EMPTY)
    stage = _stage(world, None)

    frames = await _frames(stage)

    empty = FailureKind.EMPTY
    assert _asked(stage, 0) == [("tortoise", empty), ("tortoise", None)]
    assert _asked(stage, 1) == [("hare", empty), ("hare", empty)]
    assert frames[-1].failed


async def test_stopping_closes_both_connections_within_a_tenth_of_a_second(world: World, llm: ScriptedOpenAI) -> None:
    for name in ("tortoise", "hare"):
        llm.scripts[name] = Script(text=LONG, fault=Fault.STALL_MIDWAY)
    took: list[float] = []
    while len(took) < 3 and min(took, default=1.0) >= 0.1:  # another process may have had the processor
        stage = _stage(world)
        showing = asyncio.create_task(_frames(stage))
        await llm.until(lambda server: server.stalled["tortoise"] == server.stalled["hare"] == 1)
        stopped = time.monotonic()
        stage.stop()
        await llm.until(hung_up(2 * (len(took) + 1)))
        took.append(time.monotonic() - stopped)
        assert not (await showing)[-1].failed

    assert min(took) < 0.1


async def test_every_failed_attempt_counts_against_its_model(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["tortoise"] = _in_turn(Script(fault=500), Script(text="There."))

    await _frames(_stage(world, ["fox"]))

    statuses = {status.model.id: status for status in world.fleet.statuses()}
    assert (statuses["tortoise"].answers, statuses["tortoise"].failures) == (1, {FailureKind.SERVER_ERROR: 1})
    assert (statuses["hare"].answers, statuses["hare"].failures) == (1, {})


async def test_live_text_of_the_fast_model_does_not_wait(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(pace="live")
    llm.scripts["tortoise"] = Script(fault=Fault.STALL_FIRST)
    stage = _stage(world)
    stage.start(asyncio.get_running_loop().time())

    seen = [frame.texts async for frame in _until_text(stage)]

    assert seen[-1] == ("", "The hare says: first see what you want.")
    stage.stop()
    await stage.stopped_streams()


async def _until_text(stage: Stage) -> Any:
    async for frame in stage.frames():
        yield frame
        if len(frame.texts[1]) > 30:
            return

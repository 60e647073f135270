"""Somebody with a script in front of the whole arena: tries to tell the models before the vote, and to cheat."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import func, select

from arena.tables import Battle, BattleState, ModelRevision, Vote
from tests.guessing import Features, features, hits, surely_more_than_chance
from tests.scripted_visitor import Overheard, ScriptedVisitor
from tests.scripting import Fault, Script
from tests.ui_fixtures import NAMES, Site, arena_site

pytestmark = pytest.mark.timeout(120)
TEXT = "See what you want, look at what is, and take the step between. " * 3
LEARNED, ASKED, AT_ONCE = 24, 32, 8
QUICK, SLOW = NAMES
STILL = "still writing"
PACED = {"frames_per_s": 20, "pace_characters_per_s": 2_000}


@contextmanager
def two_rhythms(folder: Path, **settings: Any) -> Iterator[Site]:
    """An arena of two models that say the same: one at once, in lumps, the other late and letter by letter."""
    with arena_site(folder, **{**PACED, **settings}) as site:
        site.script(Script(text=TEXT, chunk_characters=90), QUICK)
        site.script(Script(text=TEXT, chunk_characters=4, first_delay_s=0.1, chunk_delay_s=0.002), SLOW)
        yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with two_rhythms(tmp_path_factory.mktemp("attacked")) as site:
        yield site


def overhear(site: Site, battles: int) -> tuple[Features, np.ndarray]:
    """What is received in so many battles, and whether the quick model sat on side A."""
    with ScriptedVisitor(site.url) as first:
        config, panes = first.config, first.panes()

    def play(count: int) -> list[Overheard]:
        with ScriptedVisitor(site.url, config) as visitor:
            return [visitor.fight() for _ in range(count)]

    with ThreadPoolExecutor(AT_ONCE) as players:
        heard = [battle for played in players.map(play, [battles // AT_ONCE] * AT_ONCE) for battle in played]
    return np.array([features(battle, panes) for battle in heard]), np.array([quick_first(site, b) for b in heard])


def quick_first(site: Site, heard: Overheard) -> bool:
    with site.parts.database.read() as session:
        battle = session.get_one(Battle, heard.battle)
        return session.get_one(ModelRevision, battle.revision_a).model_id == QUICK


def guessed(site: Site) -> int:
    """Of `ASKED` battles, how many a guesser tells right that learned from others."""
    seen, truth = overhear(site, LEARNED + ASKED)
    return hits(seen[:LEARNED], truth[:LEARNED], seen[LEARNED:], truth[LEARNED:])


@pytest.fixture
def owner(site: Site) -> Iterator[ScriptedVisitor]:
    with ScriptedVisitor(site.url) as visitor:
        yield visitor


@pytest.fixture
def thief(site: Site) -> Iterator[ScriptedVisitor]:
    with ScriptedVisitor(site.url) as visitor:
        yield visitor


@pytest.mark.slow
def test_nobody_tells_from_what_is_sent_which_side_is_the_quick_model(site: Site) -> None:
    assert guessed(site) < surely_more_than_chance(ASKED)


@pytest.mark.slow
@pytest.mark.parametrize(
    "slow",
    [
        pytest.param({"first_delay_s": 0.3, "chunk_characters": 4}, id="late and letter by letter"),
        pytest.param({"chunk_characters": 60, "fault": Fault.STALL_END}, id="its end comes late"),
    ],
)
def test_with_the_same_text_every_event_says_the_same_of_both_sides(
    site: Site, owner: ScriptedVisitor, slow: Mapping[str, Any]
) -> None:
    """Not a guess: whatever one pane and its heading are told, the other is told in the same event."""
    site.script(Script(text=TEXT, **slow), SLOW)
    try:
        told = told_of_both(owner, lambda: site.llm.release(f"api-{SLOW}"))
    finally:
        site.script(Script(text=TEXT, chunk_characters=4, first_delay_s=0.1, chunk_delay_s=0.002), SLOW)

    assert sum(bool(a) for a, _ in told) > 3
    assert [a for a, _ in told] == [b for _, b in told]
    assert STILL in str(told) or "fault" not in slow


def told_of_both(visitor: ScriptedVisitor, held: Callable[[], object]) -> Sequence[tuple[str, str]]:
    """What each event of a battle says of side A and of side B, spelled alike; `held` is called while both wait."""
    send, session = visitor.function("send"), uuid4().hex
    names = {part["id"]: part["props"].get("elem_id") for part in visitor.config["components"]}
    outputs = [names[part] for part in send["outputs"]]
    sides = [[outputs.index(f"{part}-{side}") for part in ("head", "answer")] for side in "ab"]
    visitor.join(send["id"], ["Which is which?"], session).raise_for_status()
    told = []
    with visitor.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if STILL in line:
                held()
            data = json.loads(line.removeprefix("data:") or "{}").get("output", {}).get("data") or []
            if data:
                a, b = (str([data[place] for place in places]) for places in sides)
                told.append(
                    (a.replace(">A<", "><").replace("Model A", ""), b.replace(">B<", "><").replace("Model B", ""))
                )
            if "close_stream" in line:
                return told
    raise AssertionError("the stream ended without a word")


@pytest.mark.slow
def test_the_same_guesser_wins_where_text_is_shown_as_it_comes(tmp_path: Path) -> None:
    with two_rhythms(tmp_path, pace="live") as site:
        assert guessed(site) >= surely_more_than_chance(ASKED)


def votes(site: Site) -> int:
    with site.parts.database.read() as session:
        return session.scalar(select(func.count()).select_from(Vote)) or 0


def test_a_battle_takes_one_vote_from_its_visitor_after_both_answers_and_no_other(
    site: Site, owner: ScriptedVisitor, thief: ScriptedVisitor
) -> None:
    battle = owner.fight().battle
    before = votes(site)

    assert "not yours" in thief.vote(battle)
    for forged in (uuid4().hex, "", "' OR 1=1 --", battle.upper() + "0", "../" + battle, "9" * 5000):
        assert "not yours" in owner.vote(forged)
    assert "no character NUL" in owner.vote("\x00")
    assert "opened by another visitor" in thief.vote(battle, "tie", owner.session)
    assert votes(site) == before
    assert any(name in owner.vote(battle, "tie") for name in NAMES.values())
    for winner in ("tie", "model_b"):
        assert "has its vote already" in owner.vote(battle, winner)
    assert votes(site) == before + 1


def test_whoever_knows_the_name_of_anothers_connection_hears_nothing_and_ends_nothing(
    site: Site, owner: ScriptedVisitor, thief: ScriptedVisitor
) -> None:
    """The name travels in addresses; with it Gradio would give away frames, and take an end of the page for real."""
    session, before = uuid4().hex, site.parts.refusals.by_reason().get("other_visitor", 0)
    owner.join(owner.function("send")["id"], ["Mine alone"], session).raise_for_status()

    assert thief.client.get("/gradio_api/queue/data", params={"session_hash": session}).status_code == 409
    assert thief.client.get(f"/gradio_api/heartbeat/{session}").status_code == 409
    assert thief.join(thief.function("send")["id"], ["Mine now"], session).status_code == 409

    assert "Mine alone" in str([heard.event for heard in owner.listen(session)[1]])
    assert site.parts.refusals.by_reason()["other_visitor"] == before + 3


def test_a_vote_before_both_answers_are_there_is_refused_and_tells_nothing(site: Site, owner: ScriptedVisitor) -> None:
    site.script(Script(text=TEXT, fault=Fault.STALL_MIDWAY), QUICK)
    try:
        owner.join(owner.function("send"), ["Too early?"])
        site.llm.wait_for(lambda server: f"api-{QUICK}" in server.stalled and server.stalled[f"api-{QUICK}"] > 0)
        with site.parts.database.read() as session:
            running = session.scalar(select(Battle.id).where(Battle.state == BattleState.RUNNING))
        told = owner.vote(running or "")
    finally:
        site.llm.release(f"api-{QUICK}")
        site.script(Script(text=TEXT, chunk_characters=90), QUICK)
    owner.listen()

    assert running
    assert "still being written" in told
    assert not any(name in told for name in NAMES.values())


def test_no_function_called_directly_votes_for_another_or_tells_what_is_not_public(
    site: Site, owner: ScriptedVisitor, thief: ScriptedVisitor
) -> None:
    """Every function of every page, called by its number with another visitor's battle wherever it takes a value."""
    battle = owner.fight("A prompt of my own").battle
    before = votes(site)

    told = "".join(everything_told(thief, battle))

    assert "A prompt of my own" not in told
    assert votes(site) == before
    with site.parts.database.read() as session:
        assert session.get_one(Battle, battle).state is BattleState.VOTABLE
    for secret in ("resting_until", "server_error", "Check again", site.llm.url, str(site.parts.settings.data_dir)):
        assert secret not in told
    assert any(name in owner.vote(battle) for name in NAMES.values())


def everything_told(thief: ScriptedVisitor, battle: str) -> Sequence[str]:
    """What the thief hears from each function, directly and through the queue."""
    functions = thief.config["dependencies"]
    return [told for function in functions for told in thief.tell(function, [battle] * len(function["inputs"]))]

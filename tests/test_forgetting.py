"""A voter is forgotten: what goes, what stays, and that the ratings stay right."""

from collections.abc import Iterator
from typing import get_args

import httpx
import pytest
from sqlalchemy import func, select

from arena.battle import Phase
from arena.cli import main
from arena.config import Settings, load_settings
from arena.counts import read_counts, rebuild_counts
from arena.database import Database
from arena.forgetting import FORGOTTEN, Holdings, Policy, forget, holdings_of
from arena.judge.items import find_pairs, read_material
from arena.judge.records import Judge, Outcome, Question, keep
from arena.judge.verdict import Verdict
from arena.providers.base import Sampling
from arena.roster import ModelEntry
from arena.spending import Cost
from arena.style import StyleControl
from arena.tables import AnswerStyle, Base, Battle, Conversation, Side, Vote, Voter, VoterVerdict, Winner
from arena.voter_decisions import decide
from tests.arena_facts import add_models, add_vote
from tests.battle_fixtures import ANNA, BEN, MakeWorld, World, every, llm, make_world, world
from tests.databases import SERVER
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Script
from tests.ui_fixtures import Site, arena_site, site

__all__ = ["llm", "make_world", "site", "world"]
MARKER = "my neighbour Quillfeather"
TURNS = ((f"About {MARKER}", f"**{MARKER}** is", f"- {MARKER} was"), ("And?", MARKER, MARKER))


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An arena that logs its votes, as on a Space."""
    with arena_site(tmp_path_factory.mktemp("site"), vote_log=True) as site:
        yield site


def logged_as_forgotten(settings: Settings) -> int:
    """How many voters the log of votes keeps out."""
    return len(list((settings.resolved_backup_dir / "votes").glob("*-forgotten-*.json")))


def everything(database: Database) -> str:
    """Every row of every table."""
    with database.engine.connect() as connection:
        return "\n".join(
            str(row) for table in Base.metadata.sorted_tables for row in connection.execute(select(table)).all()
        )


def verdicts(database: Database) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    overall, clarity = read_counts(database, ["battle"]), read_counts(database, ["battle"], "clarity")
    return overall.wins.tolist(), overall.ties.tolist(), clarity.wins.tolist()


def rows(database: Database, table: type[Base]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def judge_with_quotes(database: Database) -> None:
    """A judge model's verdict on every pair, with a reason that quotes the prompt."""
    judge = Judge("owl-1", ModelEntry(id="owl", api_type="demo", role="judge"), "1")
    with database.write() as session:
        for pair in find_pairs(session, "voted"):
            verdict = Verdict(Winner.MODEL_A, {}, f"On {read_material(session, pair).turns[0].prompt}: A is plainer.")
            keep(session, judge, Question(pair, swapped=False), Outcome(verdict, None, "", 1, Cost()))


@pytest.mark.parametrize("policy", get_args(Policy))
def test_a_forgotten_voter_leaves_no_text_and_the_counts_equal_the_votes_that_stay(
    any_database: Database, policy: Policy
) -> None:
    a, b = add_models(any_database, "ash", "birch")
    for winner in (Winner.MODEL_A, Winner.TIE):
        add_vote(any_database, a, b, winner, voter="anna", criteria={"clarity": "model_b"}, turns=TURNS)
    add_vote(any_database, a, b, Winner.MODEL_B, voter="anna", turns=TURNS, rated=False)
    add_vote(any_database, a, b, Winner.MODEL_A, voter="ben", turns=(("Ben asks", "Ash says", "Birch says"),))
    decide(any_database, "anna", VoterVerdict.COUNT, "looked at")
    judge_with_quotes(any_database)
    before = verdicts(any_database)
    assert MARKER in everything(any_database)

    assert holdings_of(any_database, "anna") == Holdings(battles=3, votes=3, chats=0, prompts=6)

    forget(any_database, "anna", policy)

    left = everything(any_database)
    assert MARKER not in left
    assert "anna" not in left
    for text in ("Ben asks", "Ash says", "Birch says"):
        assert text in left
    if policy == "kept":
        assert verdicts(any_database) == before
        assert left.count(FORGOTTEN) > 3
        assert (rows(any_database, Vote), rows(any_database, Battle), rows(any_database, Voter)) == (4, 4, 2)
    else:
        assert verdicts(any_database) == ([[0, 1], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]])
        assert (rows(any_database, Vote), rows(any_database, Battle), rows(any_database, Voter)) == (1, 1, 1)
    kept_with_each_vote = verdicts(any_database)
    rebuild_counts(any_database)
    assert verdicts(any_database) == kept_with_each_vote
    assert holdings_of(any_database, "anna").empty


def test_votes_that_are_kept_keep_how_their_answers_looked(database: Database) -> None:
    a, b = add_models(database, "ash", "birch")
    add_vote(database, a, b, Winner.MODEL_A, voter="anna", turns=TURNS[:1])

    forget(database, "anna", "kept")

    StyleControl(database).refresh()  # it measures what nobody has measured
    with database.read() as session:
        looks = session.scalars(select(AnswerStyle).order_by(AnswerStyle.bold)).all()
    assert [(look.characters > 10, look.bold, look.lists) for look in looks] == [(True, 0, 1), (True, 1, 0)]


def test_whoever_is_unknown_is_forgotten_already(database: Database) -> None:
    a, b = add_models(database, "ash", "birch")
    add_vote(database, a, b, Winner.MODEL_A, voter="ben")
    before = verdicts(database), holdings_of(database, "ben")

    for policy in get_args(Policy):
        forget(database, "nobody", policy)

    assert (verdicts(database), holdings_of(database, "ben")) == before
    assert rows(database, Voter) == 1


async def test_a_conversation_that_goes_on_a_chat_and_a_running_battle_are_forgotten(
    world: World, llm: ScriptedOpenAI
) -> None:
    first = await world.battle(f"First, {MARKER}")
    await world.arena.vote(first.battle_id, ANNA, Winner.MODEL_A)
    await every(world.arena.continue_from(first.battle_id, Side.A, "Go on", ANNA))
    await every(world.arena.chat(f"Chat, {MARKER}", ANNA, "fox", Sampling(0.7, 1.0, 200)))
    bens = await world.battle("Ben asks", BEN)
    for name in list(llm.scripts):
        llm.scripts[name] = Script(text=f"{MARKER} " * 300, chunk_delay_s=0.02)
    running = world.arena.fight(f"Running, {MARKER}", ANNA)
    async for view in running:
        if view.phase is Phase.STREAMING:
            break

    await world.arena.forget(ANNA)
    await every(running)
    await world.arena.drain(1)

    left = everything(world.database)
    assert MARKER not in left
    assert "anna" not in left
    assert rows(world.database, Conversation) == rows(world.database, Battle) == 1
    assert llm.open_streams == {}
    assert (await world.arena.vote(bens.battle_id, BEN, Winner.TIE)).phase is Phase.REVEALED


async def test_a_running_battle_whose_voter_another_process_forgets_ends_in_peace(
    make_world: MakeWorld,
) -> None:
    world: World = await make_world()
    views = world.arena.fight("Hello", ANNA)
    await anext(views)

    forget(world.database, "anna", "deleted")

    assert (await every(views))[-1].phase is Phase.VOTABLE  # the page still shows what came
    assert rows(world.database, Battle) == 0


def test_a_voter_is_forgotten_from_their_own_page_and_nobody_elses(site: Site) -> None:
    database = site.parts.database
    with ScriptedVisitor(site.url) as anna, ScriptedVisitor(site.url) as ben:
        for visitor in (anna, ben):
            visitor.fight(f"A battle, {MARKER}")
        shown = anna.client.get("/my-data")
        assert "<dt>Battles</dt><dd>1</dd>" in shown.text
        assert shown.headers["cache-control"] == "no-store"
        unsure = anna.client.post("/my-data", data={"sure": "no"})
        elsewhere = anna.client.post("/my-data", data={"sure": "yes"}, headers={"Origin": "https://evil.example"})
        assert (unsure.status_code, elsewhere.status_code) == (400, 403)
        assert "cannot be undone" in unsure.text
        assert rows(database, Battle) == 2

        done = anna.client.post("/my-data", data={"sure": "yes"})

        assert "You are forgotten" in done.text
        assert logged_as_forgotten(site.parts.settings) == (0 if SERVER else 1)  # SQLite's votes alone are logged
        assert "arena_voter" not in anna.client.cookies
        assert rows(database, Battle) == 1
        assert "<dt>Battles</dt><dd>1</dd>" in ben.client.get("/my-data").text
    stranger = httpx.post(site.url + "/my-data", data={"sure": "yes"}, headers={"Cookie": "arena_voter=forged.cookie"})
    assert "Nothing is stored of you here" in stranger.text
    assert rows(database, Battle) == 1


def test_the_command_tells_what_it_would_forget_and_then_does(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = add_models(database, "ash", "birch")
    add_vote(database, a, b, Winner.MODEL_A, voter="anna", turns=TURNS)

    assert main(["forget", "an", "--dry-run"]) == 0
    assert (
        "anna: 2 prompts with their answers and 0 chats would be deleted; 1 votes would be deleted"
        in capsys.readouterr().out
    )
    assert rows(database, Vote) == 1
    monkeypatch.setenv("ARENA_FORGOTTEN_VOTES", "kept")
    monkeypatch.setenv("ARENA_VOTE_LOG", "true")
    assert main(["forget", "anna"]) == 0
    assert logged_as_forgotten(load_settings()) == 1
    told = capsys.readouterr()
    assert "1 votes are kept without text under a new id" in told.out
    assert "backups made before" in told.err
    assert rows(database, Vote) == 1
    assert MARKER not in everything(database)
    assert main(["forget", "anna"]) == 2

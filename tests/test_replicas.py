"""Two arenas on one PostgreSQL behind nginx: one vote a battle, one leaderboard, and nothing lost with a replica."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from arena.counts import rebuild_counts
from arena.database import Database
from arena.tables import Battle, PairCount, Vote
from tests.replica_fixtures import Replicas, replicas
from tests.scripted_visitor import ScriptedVisitor

pytest_plugins = ["tests.postgres_fixtures"]
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]
VISITORS = 8
REVEALED = "Your vote is stored"
"""What a page is told whose vote was acknowledged."""


@pytest.fixture
def database(new_postgres_url: Callable[[], str]) -> Iterator[Database]:
    """The database that the replicas share, with nothing in it yet."""
    store = Database(new_postgres_url())
    yield store
    store.close()


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def counts_of(database: Database) -> Sequence[tuple[object, ...]]:
    columns = [column for column in PairCount.__table__.columns if column.name != "sequence"]
    with database.read() as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(*columns[:4]))]


def votes_of(address: str) -> int:
    """How many votes a replica's public leaderboard is made of."""
    with httpx.Client(base_url=address, timeout=30) as client:
        event = client.post("/gradio_api/call/leaderboard", json={"data": []}).raise_for_status().json()["event_id"]
        told = client.get(f"/gradio_api/call/leaderboard/{event}").text
    data = next(line for line in told.splitlines() if line.startswith("data:")).removeprefix("data:")
    (table,) = json.loads(data)
    return sum(int(row["votes"]) for row in table["standings"]) // 2


def test_replicas_share_votes_and_lose_none_when_one_is_killed(database: Database, tmp_path: Path) -> None:
    with replicas(tmp_path, url_of(database)) as running:
        acknowledged = vote_once_each(running)
        assert [votes_of(address) for address in running.addresses] == [VISITORS] * 2

        acknowledged += vote_while_one_is_killed(running, database)

    kept = counts_of(database)
    with database.read() as session:
        voted = session.scalars(select(Vote.battle_id)).all()
        assert session.scalar(select(func.count(Vote.sequence.distinct()))) == len(voted)
        assert len(set(session.scalars(select(Battle.voter_id)))) >= VISITORS
    assert set(acknowledged) <= set(voted)
    rebuild_counts(database)
    assert counts_of(database) == kept


def vote_once_each(running: Replicas) -> list[str]:
    """Each visitor plays through nginx and votes at both replicas at the same moment; the battles they voted on."""

    with ScriptedVisitor(running.url) as first:
        config = first.config

    def play(number: int) -> str:
        with ScriptedVisitor(running.url, config) as visitor:
            battle = visitor.fight(f"Challenge {number}").battle
            together = threading.Barrier(2)

            def vote_at(address: str) -> str:
                with ScriptedVisitor(address, config) as same:
                    same.client.cookies = visitor.client.cookies
                    together.wait(30)
                    return same.vote(battle)

            with ThreadPoolExecutor(2) as pool:
                told = list(pool.map(vote_at, running.addresses))
            assert sum(REVEALED in answer for answer in told) >= 1
            return battle

    with ThreadPoolExecutor(VISITORS) as pool:
        return list(pool.map(play, range(VISITORS)))


def vote_while_one_is_killed(running: Replicas, database: Database) -> list[str]:
    """Visitors go on voting through nginx while a replica dies; the battles whose vote was acknowledged."""
    acknowledged: list[str] = []
    enough, dead = threading.Event(), threading.Event()

    def play_on() -> None:
        after = 0
        while after < 2:
            was_dead = dead.is_set()
            try:
                with ScriptedVisitor(running.url) as visitor:
                    battle = visitor.fight("Go on").battle
                    if battle and REVEALED in visitor.vote(battle, "tie"):
                        acknowledged.append(battle)
                        after += was_dead
            except httpx.HTTPError:
                continue
            if len(acknowledged) >= VISITORS:
                enough.set()

    with ThreadPoolExecutor(4) as pool:
        playing = [pool.submit(play_on) for _ in range(4)]
        assert enough.wait(60)
        running.kill(0)
        dead.set()
        for player in playing:
            player.result(90)
    return acknowledged

"""Two arenas on one PostgreSQL behind nginx share votes, limits and guesses, and lose nothing with one of them."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from arena.counts import rebuild_counts
from arena.database import Database
from arena.passwords import PER_ADDRESS
from arena.tables import Battle, PairCount, Vote
from tests.replica_fixtures import SECRETS, Replicas, replicas
from tests.scripted_visitor import ScriptedVisitor

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]
VISITORS = 8
A_MINUTE = 8
"""Battles that a voter may start in a minute; an address five times as many, which is more than the others play."""
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


def standings_of(address: str) -> Sequence[Mapping[str, Any]]:
    """A replica's public leaderboard once everybody is counted in it: meanwhile intervals are those of fewer people."""
    with httpx.Client(base_url=address, timeout=30, verify=False) as client:
        while (table := _table_of(client))["computed_from"]["people"] < VISITORS:
            pass
    standings: Sequence[Mapping[str, Any]] = table["standings"]
    return standings


def _table_of(client: httpx.Client) -> Mapping[str, Any]:
    event = client.post("/gradio_api/call/leaderboard", json={"data": []}).raise_for_status().json()["event_id"]
    told = client.get(f"/gradio_api/call/leaderboard/{event}").text
    data = next(line for line in told.splitlines() if line.startswith("data:")).removeprefix("data:")
    table: Mapping[str, Any]
    (table,) = json.loads(data)
    return table


def test_replicas_share_votes_and_limits_and_lose_nothing_when_one_is_killed(
    database: Database, tmp_path: Path
) -> None:
    with replicas(tmp_path, url_of(database), ARENA_BATTLES_PER_MINUTE=str(A_MINUTE)) as running:
        with ScriptedVisitor(running.url) as first:
            config = first.config
        acknowledged = vote_once_each(running, config)
        board, other = map(standings_of, running.addresses)
        assert board == other
        assert sum(int(row["votes"]) for row in board) == 2 * VISITORS

        insist_at_both(running, config)
        assert most_battles_of_one_voter(database) == A_MINUTE

        guess_at_both(running)

        acknowledged += vote_while_one_is_killed(running, config)

    kept = counts_of(database)
    with database.read() as session:
        voted = session.scalars(select(Vote.battle_id)).all()
        assert session.scalar(select(func.count(Vote.sequence.distinct()))) == len(voted)
    assert set(acknowledged) <= set(voted)
    rebuild_counts(database)
    assert counts_of(database) == kept


def most_battles_of_one_voter(database: Database) -> int:
    battles = func.count(Battle.id)
    with database.read() as session:
        return session.scalars(select(battles).group_by(Battle.voter_id).order_by(battles.desc())).first() or 0


def insist_at_both(running: Replicas, config: dict[str, Any]) -> None:
    """One visitor asks both replicas at once for more battles than a minute has: the rest is refused."""
    with ScriptedVisitor(running.url, config) as visitor:

        def insist(address: str) -> int:
            with ScriptedVisitor(address, config) as same:
                same.client.cookies = visitor.client.cookies
                heard = [same.fight("Once more").events for _ in range(A_MINUTE - 1)]
            return sum("a lot of battles in one minute" in str(events) for events in heard)

        with ThreadPoolExecutor(2) as pool:
            refused = sum(pool.map(insist, running.addresses))
    assert refused == 2 * (A_MINUTE - 1) - A_MINUTE


def guess_at_both(running: Replicas) -> None:
    """A stranger shares five wrong passwords out among the replicas: after that both are closed, to everybody there."""
    for number in range(PER_ADDRESS):
        guessed = httpx.post(running.addresses[number % 2] + "/login", data={"password": "a guess"})
        assert guessed.status_code == httpx.codes.UNAUTHORIZED
    for address in running.addresses:
        answer = httpx.post(address + "/login", data={"password": SECRETS["ARENA_ADMIN_PASSWORD"]})
        assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS


def vote_once_each(running: Replicas, config: dict[str, Any]) -> list[str]:
    """Each visitor plays through nginx and votes at both replicas at the same moment; the battles they voted on."""

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


def vote_while_one_is_killed(running: Replicas, config: dict[str, Any]) -> list[str]:
    """Visitors go on voting through nginx while a replica dies; the battles whose vote was acknowledged."""
    acknowledged: list[str] = []
    enough, dead = threading.Event(), threading.Event()

    def play_on() -> None:
        after = 0
        while after < 2:
            was_dead = dead.is_set()
            try:
                with ScriptedVisitor(running.url, config) as visitor:
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

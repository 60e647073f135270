"""Judging a campaign: who gets which pair, what is counted where, and what is told when."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from arena.battle.verdicts import ALREADY_VOTED
from arena.campaigns.arrivals import Arrivals
from arena.campaigns.items import REPEAT_AFTER, RESERVED_FOR
from arena.campaigns.judging import NOT_YOURS, Judging, JudgingView, Place
from arena.campaigns.plan import end_campaign
from arena.campaigns.progress import campaign_progress
from arena.counts import Verdict, add_verdicts, next_sequence, read_counts, rebuild_counts
from arena.database import Database
from arena.errors import BattleError
from arena.leaderboard import Leaderboard
from arena.tables import (
    Answer,
    Battle,
    CampaignAssignment,
    CampaignItem,
    CampaignPairs,
    Mode,
    Seat,
    Side,
    Vote,
    Winner,
    now,
)
from arena.voters import VoterIdentity
from tests.campaign_facts import add_campaign, revisions_of

MakeJudging = Callable[[Database], Judging]
ANNA, BEN, CLEO = (VoterIdentity(name) for name in ("anna", "ben", "cleo"))


@pytest.fixture
def make_judging() -> MakeJudging:
    def make(database: Database) -> Judging:
        arrivals = Arrivals(per_minute=1000)
        return Judging(
            database=database, leaderboard=Leaderboard(database), arrivals=arrivals, demo=False, rng=random.Random(5)
        )

    return make


@pytest.fixture
def judging(database: Database, make_judging: MakeJudging) -> Judging:
    return make_judging(database)


async def judge_all(judging: Judging, voter: VoterIdentity, winner: Winner = Winner.MODEL_A) -> list[JudgingView]:
    """Judge until there is nothing left; every pair that was shown."""
    shown = []
    while (view := await judging.next("spring", voter)).place is Place.JUDGING:
        assert view.battle is not None
        shown.append(view)
        await judging.vote(view.battle.battle_id, voter, winner)
    return shown


def pair_of(view: JudgingView) -> tuple[str, str, str]:
    assert view.battle is not None
    turn = view.battle.turns[0]
    return (turn.prompt, *turn.answers)


async def test_each_item_is_judged_by_as_many_as_asked_and_by_nobody_twice(
    database: Database, judging: Judging
) -> None:
    add_campaign(database, prompts=4, voters_per_item=2)

    anna, ben, cleo = [await judge_all(judging, voter) for voter in (ANNA, BEN, CLEO)]

    assert [len(shown) for shown in (anna, ben, cleo)] == [4, 4, 0]
    assert [(view.judged, view.total) for view in anna] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert len({pair_of(view)[0] for view in anna}) == 4
    progress = campaign_progress(database, "spring", {})
    assert (progress.judged, progress.asked, progress.complete, progress.voters) == (8, 8, 4, 2)
    assert progress.state == "all judged"


async def test_five_voters_make_five_battles_over_the_same_two_answers(database: Database, judging: Judging) -> None:
    add_campaign(database, prompts=1, voters_per_item=5)

    for number in range(5):
        await judge_all(judging, VoterIdentity(f"voter{number}"))

    with database.read() as session:
        battles = session.scalars(select(Battle)).all()
        seats = session.execute(select(Seat.battle_id, Seat.side, Answer.text).join(Answer)).all()
    assert len(battles) == 5
    assert {battle.mode for battle in battles} == {Mode.CAMPAIGN}
    assert len({battle.conversation_id for battle in battles}) == 1
    assert {battle.question for battle in battles} == {"Which answer sees further?"}
    assert {text for _, _, text in seats} == {"hare on p1", "tortoise on p1"}
    assert {text for _, side, text in seats if side is Side.A} == {"hare on p1", "tortoise on p1"}  # seats are drawn


@pytest.mark.slow
def test_under_a_crowd_no_item_has_too_many_voters_and_nobody_an_item_twice(
    any_database: Database, make_judging: MakeJudging
) -> None:
    """Eight voters in two tabs each, over two processes' worth of `Judging`: 6 items for 3 voters each."""
    import asyncio

    add_campaign(any_database, prompts=6, voters_per_item=3)
    replicas = [make_judging(any_database), make_judging(any_database)]

    def judge(number: int) -> int:
        judging, voter = replicas[number % 2], VoterIdentity(f"voter{number // 2}")
        votes = 0
        for _ in range(60):
            view = asyncio.run(judging.next("spring", voter))
            if view.battle is None:
                break
            try:
                asyncio.run(judging.vote(view.battle.battle_id, voter, Winner.TIE))
                votes += 1
            except BattleError as error:
                assert str(error) == ALREADY_VOTED  # noqa: PT017 - the voter's other tab was first
        return votes

    with ThreadPoolExecutor(8) as crowd:
        votes = sum(crowd.map(judge, range(16)))

    with any_database.read() as session:
        rows = session.execute(select(CampaignAssignment.item_id, CampaignAssignment.voter_id)).all()
    assert votes == 18
    assert Counter(Counter(item for item, _ in rows).values()) == {3: 6}
    assert len(set(rows)) == 18
    assert read_counts(any_database, ["battle"]).votes == 18


def test_the_database_itself_refuses_an_item_twice(any_database: Database) -> None:
    add_campaign(any_database, prompts=1, voters_per_item=2)
    with any_database.read() as session:
        item = session.scalars(select(CampaignItem.id)).one()

    def give(repeat: int) -> None:
        with any_database.write() as session:
            session.add(
                CampaignAssignment(
                    item_id=item, voter_id="campaign:spring", repeat=repeat, swapped=False, expires_at=now()
                )
            )

    give(0)
    give(1)
    with pytest.raises(IntegrityError):
        give(0)


async def test_an_abandoned_pair_is_given_to_somebody_else(database: Database, judging: Judging) -> None:
    add_campaign(database, prompts=1)
    first = await judging.next("spring", ANNA)
    assert first.battle is not None
    assert (await judging.next("spring", ANNA)).battle == first.battle  # a reload gives the same pair, same seats
    assert (await judging.next("spring", BEN)).place is Place.WAITING

    with database.write() as session:
        session.execute(update(CampaignAssignment).values(expires_at=now() - timedelta(seconds=1)))
    second = await judging.next("spring", BEN)

    assert second.place is Place.JUDGING
    assert (await judging.next("spring", ANNA)).place is Place.WAITING
    with pytest.raises(BattleError, match=NOT_YOURS):
        await judging.vote(first.battle.battle_id, ANNA, Winner.TIE)
    assert timedelta(minutes=5) < RESERVED_FOR


async def test_nobody_votes_on_a_pair_that_was_given_to_somebody_else(database: Database, judging: Judging) -> None:
    add_campaign(database, prompts=1)
    view = await judging.next("spring", ANNA)
    assert view.battle is not None

    with pytest.raises(BattleError, match=NOT_YOURS):
        await judging.vote(view.battle.battle_id, BEN, Winner.TIE)
    await judging.vote(view.battle.battle_id, ANNA, Winner.TIE)
    with pytest.raises(BattleError, match=ALREADY_VOTED):
        await judging.vote(view.battle.battle_id, ANNA, Winner.TIE)


async def test_repeats_come_later_with_swapped_seats_and_move_no_rating(database: Database, judging: Judging) -> None:
    add_campaign(database, prompts=8, repeat_share=1.0)

    shown = [pair_of(view) for view in await judge_all(judging, ANNA)]

    assert len(shown) == 16
    for prompt in {prompt for prompt, *_ in shown}:
        places = [place for place, (other, *_) in enumerate(shown) if other == prompt]
        first, second = (shown[place] for place in places)
        assert first[1:] == second[:0:-1]
    assert shown[0][0] == shown[REPEAT_AFTER + 1][0]
    assert read_counts(database, ["battle"]).votes == 8
    with database.read() as session:
        rated = session.scalars(select(Vote.rated).order_by(Vote.sequence)).all()
    assert Counter(rated) == {True: 8, False: 8}
    assert campaign_progress(database, "spring", {}).repeats == 8


@pytest.mark.parametrize(("apart", "scope"), [(False, "battle"), (True, "campaign:spring")])
async def test_votes_count_where_the_campaign_says(
    apart: bool, scope: str, database: Database, judging: Judging
) -> None:
    add_campaign(database, prompts=3, apart=apart)
    await judge_all(judging, ANNA)

    counted = read_counts(database, [scope])
    other = read_counts(database, ["campaign:spring" if scope == "battle" else "battle"])
    rebuild_counts(database)

    assert (counted.votes, other.votes) == (3, 0)
    assert (read_counts(database, [scope]).wins == counted.wins).all()
    assert Leaderboard(database).refresh((scope,)).people == 1
    assert Leaderboard(database).refresh().votes == (0 if apart else 3)


async def test_names_are_told_after_the_vote_only_if_the_campaign_says_so(database: Database, judging: Judging) -> None:
    add_campaign(database, prompts=1)
    add_campaign(database, id="open", prompts=1, reveals=True)
    views = {}
    for campaign in ("spring", "open"):
        view = await judging.next(campaign, ANNA)
        assert view.battle is not None
        views[campaign] = await judging.vote(view.battle.battle_id, ANNA, Winner.MODEL_B)

    blind, told = views["spring"].battle, views["open"].battle
    assert blind is not None
    assert told is not None
    assert blind.reveal is None
    assert "Hare" not in repr(blind)
    assert told.reveal is not None
    assert {side.display_name for side in told.reveal.sides} == {"Hare", "Tortoise"}


async def test_an_ended_campaign_takes_no_votes_and_tells_who_wrote_what(database: Database, judging: Judging) -> None:
    add_campaign(database, prompts=2)
    shown = await judging.next("spring", ANNA)
    assert shown.battle is not None
    liked = shown.battle.turns[0].answers[0].split()[0]
    await judging.vote(shown.battle.battle_id, ANNA, Winner.MODEL_A)
    late = await judging.next("spring", ANNA)
    assert late.battle is not None

    end_campaign(database, "spring", ended=True)

    with pytest.raises(BattleError, match="has ended"):
        await judging.vote(late.battle.battle_id, ANNA, Winner.TIE)
    view = await judging.next("spring", ANNA)
    assert view.place is Place.ENDED
    assert [(choice.display_name, choice.won, choice.lost) for choice in view.choices] == [
        (liked.title(), 1, 0),
        ("Tortoise" if liked == "hare" else "Hare", 0, 1),
    ]


async def test_a_withdrawn_vote_leaves_its_place_to_somebody_else(database: Database, judging: Judging) -> None:
    add_campaign(database, prompts=1)
    view = await judging.next("spring", ANNA)
    assert view.battle is not None
    await judging.vote(view.battle.battle_id, ANNA, Winner.MODEL_A)

    taken_back = await judging.withdraw(view.battle.battle_id, ANNA)

    assert taken_back.withdrawn
    assert read_counts(database, ["battle"]).votes == 0
    assert (await judging.next("spring", ANNA)).place is Place.DONE
    assert (await judging.next("spring", BEN)).place is Place.JUDGING


async def test_a_leader_campaign_asks_about_the_leader(database: Database, judging: Judging) -> None:
    """The hare leads and surely beats the fox: what is open is how it stands to the heron and the tortoise."""
    models = ("fox", "hare", "heron", "tortoise")
    add_campaign(database, prompts=12, models=models, pairs=CampaignPairs.LEADER, pairs_per_prompt=1)
    fox, hare, heron, tortoise = revisions_of(database, models)
    results = {(hare, fox): (30, 0), (hare, heron): (9, 6), (hare, tortoise): (9, 6), (heron, tortoise): (8, 8)}
    with database.write() as session:
        for (a, b), (won, lost) in {**results, (heron, fox): (20, 10), (tortoise, fox): (20, 10)}.items():
            verdicts = {Verdict("battle", a, b, Winner.MODEL_A): won, Verdict("battle", a, b, Winner.MODEL_B): lost}
            add_verdicts(session, verdicts, next_sequence(session))

    assert campaign_progress(database, "spring", {}).ready == 12
    shown = await judge_all(judging, ANNA, Winner.TIE)

    pairs = [{text.split()[0] for text in pair_of(view)[1:]} for view in shown]
    assert len(pairs) == 12
    assert sum("hare" in pair and "fox" not in pair for pair in pairs) >= 9
    assert shown[0].total == campaign_progress(database, "spring", {}).items == 12


async def test_prompts_whose_answers_are_missing_wait(database: Database, judging: Judging) -> None:
    add_campaign(database, answered=False)

    assert (await judging.next("spring", ANNA)).place is Place.WAITING
    assert (await judging.next("summer", ANNA)).place is Place.UNKNOWN


async def test_one_address_cannot_reserve_everything_under_new_names(database: Database) -> None:
    add_campaign(database, prompts=20)
    judging: Any = Judging(
        database=database, leaderboard=Leaderboard(database), arrivals=Arrivals(per_minute=1), demo=False
    )

    for number in range(5):
        await judging.next("spring", VoterIdentity(f"voter{number}", "one address"))
    with pytest.raises(BattleError, match="You can start judging in"):
        await judging.next("spring", VoterIdentity("voter5", "one address"))

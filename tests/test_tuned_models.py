"""What comes of a job: a model of the roster, in the running arena, with a known descent and a verdict on it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from arena.battle import Arena
from arena.config import read_environment
from arena.errors import TuningError
from arena.finetune import Member, Registration, TuningDesk, Wish, store, with_tuned
from arena.fleet import Fleet, ModelState
from arena.leaderboard import Leaderboard
from arena.limits import Limits
from arena.providers.factory import build_providers
from arena.roster import Roster
from arena.tables import TuningJob, Winner, now
from tests.arena_facts import add_models, add_vote
from tests.battle_fixtures import ANNA, FAST, last
from tests.scripted_openai_tuning import BASE
from tests.tuning_fixtures import QUESTIONS, Workshop, roster_of, workshop, write_training_file

__all__ = ["workshop"]


@pytest.fixture
async def fleet(workshop: Workshop) -> AsyncIterator[Fleet]:
    """The fleet of an arena that runs."""
    roster = roster_of(workshop)
    made = Fleet(roster, build_providers(workshop.settings, roster), workshop.settings)
    await made.prepare()
    yield made
    await made.aclose()


@pytest.fixture
async def desk(workshop: Workshop, fleet: Fleet) -> AsyncIterator[TuningDesk]:
    """The operator's desk of an arena that runs, and follows its jobs quickly."""
    made = TuningDesk(workshop.database, roster_of(workshop), workshop.settings, fleet=fleet, first_wait_s=0.001)
    yield made
    await made.aclose()


def trained(workshop: Workshop, platform: str = "openai", **wish: Any) -> TuningJob:
    """A job that has succeeded."""
    return workshop.finish(workshop.job(platform, **wish))


async def ready(fleet: Fleet, model_id: str) -> None:
    """Wait until a model of the fleet can be drawn."""
    async with asyncio.timeout(20):
        while model_id not in {s.model.id for s in fleet.statuses() if s.state is ModelState.READY}:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("platform", ["openai", "vertex"])
async def test_a_job_runs_to_a_battle_of_its_model_without_a_restart(
    workshop: Workshop, desk: TuningDesk, fleet: Fleet, platform: Any
) -> None:
    """Plan, confirmation, upload, job, success, roster, readiness, a battle against the parent."""
    desk.start_following()
    file = write_training_file(workshop.folder, platform)
    plan = await workshop.database.run(desk.plan, Wish(platform, file))
    assert plan.problems == []
    job = await workshop.database.run(desk.start, plan)
    async with asyncio.timeout(20):
        while (job := await workshop.database.run(desk.job, job.id)).outcome is None:
            await asyncio.sleep(0.01)
    assert job.outcome == "succeeded"

    registration = Registration("coaia-2", "coaia", "2", "coaia-1", "COAIA two")
    await workshop.database.run(desk.register, job, registration)
    await ready(fleet, "coaia-2")
    settings = workshop.settings.model_copy(update=FAST)
    arena = Arena(
        database=workshop.database,
        fleet=fleet,
        leaderboard=Leaderboard(workshop.database),
        limits=Limits(workshop.database, settings),
        settings=settings,
    )
    view = await last(arena.fight("What now?", ANNA))
    voted = await arena.vote(view.battle_id, ANNA, Winner.TIE)
    await arena.drain(0)

    assert voted.reveal is not None
    assert {side.display_name for side in voted.reveal.sides} == {"coaia-1", "COAIA two"}


def test_a_registered_model_is_in_the_roster_of_the_next_start_and_the_file_wins(workshop: Workshop) -> None:
    job = trained(workshop)
    desk = TuningDesk(workshop.database, roster_of(workshop), workshop.settings)
    desk.register(job, Registration("coaia-2", "coaia", "2", "coaia-1"))
    desk.register(job, Registration("coaia-2-early", "coaia", "1.5", "coaia-1", step=40))
    environment = read_environment()

    whole = with_tuned(workshop.database, roster_of(workshop), environment)
    assert list(whole.models) == ["coaia-1", "coaia-2", "coaia-2-early"]
    entry = whole.models["coaia-2"]
    assert (entry.model_name, entry.family, entry.version, entry.parent) == (job.result_model, "coaia", "2", "coaia-1")
    assert entry.api_key is not None
    assert whole.models["coaia-2-early"].model_name == f"{job.result_model}:ckpt-step-40"
    (stored, _) = desk.models()
    assert stored.training_sha256 == job.training_sha256
    assert "api_key" not in stored.entry

    named = Roster({"coaia-2": roster_of(workshop).models["coaia-1"]})
    merged = with_tuned(workshop.database, named, environment)
    assert merged.models["coaia-2"].model_name == "tortoise"
    assert merged.warnings == ("coaia-2 stands in the roster file and among the tuned models: the file wins.",)
    desk.close()


def test_what_cannot_be_registered_is_told(workshop: Workshop) -> None:
    roster = roster_of(workshop)
    desk = TuningDesk(workshop.database, roster, workshop.settings)
    unsent = workshop.job(name="other")
    job = trained(workshop)
    desk.register(job, Registration("coaia-2"))

    for wrong, said in (
        ((unsent, Registration("new")), "has no model: it was not sent yet"),
        ((job, Registration("coaia-1")), "stands in the roster file already"),
        ((job, Registration("coaia-3")), "in the roster already, as coaia-2"),
        ((job, Registration("coaia-2", step=80)), "coaia-2 is in the roster already"),
        ((job, Registration("new", step=7)), "has no checkpoint of step 7; it has 40, 80"),
        ((job, Registration("new", parent="nobody", step=80)), "nobody: the parent is no model of the roster"),
        ((job, Registration("a b")), "an id has letters"),
    ):
        with pytest.raises(TuningError, match=said):
            desk.register(*wrong)
    desk.close()


def test_a_registered_model_is_tuned_further_at_its_origins_price(workshop: Workshop) -> None:
    desk = TuningDesk(workshop.database, roster_of(workshop), workshop.settings)
    first = trained(workshop)
    desk.register(first, Registration("coaia-2"))
    plan = desk.plan(Wish("openai", write_training_file(workshop.folder), "coaia-2"))

    assert (plan.base_model, plan.parent, plan.price, plan.problems) == (first.result_model, "coaia-2", 5.0, [])
    second = workshop.finish(store.add_job(workshop.database, plan))
    assert second.outcome == "succeeded"
    registered = desk.register(second, Registration("coaia-3"))
    assert registered.entry["parent"] == "coaia-2"
    desk.close()


async def test_a_job_of_a_stopped_process_is_followed_by_the_next(workshop: Workshop, desk: TuningDesk) -> None:
    job = workshop.sender("a process that is killed").advance(workshop.job().id)
    store.note(workshop.database, job.id, held_by="a process that is killed", held_until=now() + timedelta(seconds=0.5))

    desk.start_following()
    async with asyncio.timeout(20):
        while (job := await workshop.database.run(desk.job, job.id)).outcome is None:
            await asyncio.sleep(0.01)
    assert job.outcome == "succeeded"
    assert workshop.openai.counts["jobs.create"] == 1


def lineage_of(workshop: Workshop) -> dict[str, Member]:
    """Every member of every tree by its id."""
    roster = with_tuned(workshop.database, roster_of(workshop), read_environment())
    desk = TuningDesk(workshop.database, roster, workshop.settings)
    trees = desk.lineage(list(roster), Leaderboard(workshop.database))
    desk.close()
    return {member.model_id: member for tree in trees for _, member in tree.walk()}


def test_the_lineage_tells_what_a_version_was_trained_on_and_whether_it_is_better(workshop: Workshop) -> None:
    job = trained(workshop)
    desk = TuningDesk(workshop.database, roster_of(workshop), workshop.settings)
    desk.register(job, Registration("coaia-2", "coaia", "2"))
    desk.close()
    before, after = add_models(workshop.database, "coaia-1", "coaia-2", family="coaia")
    assert "Nobody has voted on both" in str(lineage_of(workshop)["coaia-2"].step.sentence)  # type: ignore[union-attr]
    for number in range(30):
        add_vote(workshop.database, after, before, Winner.MODEL_A, voter=f"v{number}", turns=[("New?", "Yes.", "No.")])
    for number in range(3):
        shouted = f"  {QUESTIONS[number].upper()} "
        add_vote(workshop.database, before, after, Winner.MODEL_A, voter=f"w{number}", turns=[(shouted, "A.", "B.")])
    add_vote(workshop.database, after, before, Winner.TIE, voter="x", turns=[("Another?", "A.", "B.")])

    members = lineage_of(workshop)
    member, step = members["coaia-2"], members["coaia-2"].step
    assert (member.parent, members["coaia-1"].children[0]) == ("coaia-1", member)
    assert member.trained is not None
    assert (member.trained.sha256, member.trained.lines, member.trained.battles) == (job.training_sha256, 12, 12)
    assert member.trained.base_model == BASE
    assert step is not None
    assert step.comparison is not None
    assert step.comparison.settled
    assert (step.seen.wins, step.seen.losses, step.seen.ties) == (0, 3, 0)
    assert (step.unseen.wins, step.unseen.losses, step.unseen.ties) == (30, 0, 1)
    assert len(step.seen_battles) == 3
    assert "Coaia-2 is better than Coaia-1" in step.sentence
    assert "Of the 34 votes between the two 3 are on prompts that coaia-2 was trained on" in step.sentence
    assert "of the other 31 it won 98%" in step.sentence


def test_a_version_trained_from_a_tuned_one_has_seen_its_parents_prompts_too(workshop: Workshop) -> None:
    desk = TuningDesk(workshop.database, roster_of(workshop), workshop.settings)
    desk.register(trained(workshop), Registration("coaia-2", "coaia", "2", "coaia-1"))
    others = [f"Another question {number}?" for number in range(12)]
    plan = desk.plan(Wish("openai", write_training_file(workshop.folder / "second", questions=others), "coaia-2"))
    desk.register(workshop.finish(store.add_job(workshop.database, plan)), Registration("coaia-3", "coaia", "3"))
    desk.close()
    _, second, third = add_models(workshop.database, "coaia-1", "coaia-2", "coaia-3", family="coaia")
    for prompt in (QUESTIONS[0], others[0], "Never asked?"):
        add_vote(workshop.database, third, second, Winner.MODEL_A, turns=[(prompt, "A.", "B.")])

    step = lineage_of(workshop)["coaia-3"].step
    assert step is not None
    assert (step.before, step.seen.votes, step.unseen.votes) == ("coaia-2", 2, 1)

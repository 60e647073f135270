"""What one battle costs in the database's threads: `python -m benchmarks.bookkeeping [--battles N] [--models N]`.

Plays the bookkeeping of `--battles` battles one after the other, each by a new visitor, on a fresh SQLite file and a
private PostgreSQL server: every step as the arena calls it, without providers, pages and waiting. Told are the CPU time
of the thread that does the step, on the median and in the mean, and the statements it sends (BEGIN on SQLite is one).
The first battles make a young arena, whose people are counted with the votes; the others are measured apart.
"""

import argparse
import logging
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arena.config import Settings, prepare_process

prepare_process()

from sqlalchemy import Engine, event  # noqa: E402 - the number of BLAS threads is read when numpy is imported

from arena.battle.retelling import Retelling  # noqa: E402
from arena.battle.seats import Attempt  # noqa: E402
from arena.battle.store import EndedTurn, NewBattle, end_turn, start_battle  # noqa: E402
from arena.battle.verdicts import Ballot  # noqa: E402
from arena.database import Database, open_database  # noqa: E402
from arena.evidence import VoteEvidence  # noqa: E402
from arena.identity import find_identity, identity_patterns  # noqa: E402
from arena.leaderboard import WITH_EACH_VOTE, Leaderboard  # noqa: E402
from arena.limits import Limits  # noqa: E402
from arena.providers.base import AnswerProgress, Finish, Sampling  # noqa: E402
from arena.roster import ModelEntry  # noqa: E402
from arena.rubric import NO_RUBRIC  # noqa: E402
from arena.tables import BattleState, Mode, Winner, new_id  # noqa: E402
from arena.voters import VoterIdentity  # noqa: E402
from tests.databases import create  # noqa: E402
from tests.postgres_server import private_postgres  # noqa: E402

WARM_UP = 10
"""Battles before the clock: they compile statements and load scipy."""

WORDS = (
    "first see what you want and then walk there slowly with a friend who as a rule says little; I was by the river "
    "and I am sure that the orchard you plant today is a metaphor for the day on which you will sit under its apples. "
)


class Costs:
    """CPU milliseconds and statements of each step."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, list[float]] = defaultdict(list)
        self.statements: defaultdict[str, list[int]] = defaultdict(list)
        self._sent = 0
        event.listen(Engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self._sent += 1

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Measure what is done meanwhile in this thread."""
        sent, began = self._sent, time.thread_time()
        yield
        self.spent[step].append((time.thread_time() - began) * 1000)
        self.statements[step].append(self._sent - sent)

    def forget(self) -> None:
        """Begin anew."""
        self.spent.clear()
        self.statements.clear()

    def report(self, title: str) -> None:
        """Print a table, and begin anew."""
        print(f"\n{title:44}    median      mean  statements")
        for step, spent in self.spent.items():
            sent = statistics.mean(self.statements[step])
            print(f"{step:44}  {statistics.median(spent):8.2f}  {statistics.mean(spent):8.2f}  {sent:10.1f}")
        whole = [sum(step) for step in zip(*self.spent.values(), strict=True)]
        sent = sum(statistics.mean(numbers) for numbers in self.statements.values())
        total = f"{'one battle':44}  {statistics.median(whole):8.2f}  {statistics.mean(whole):8.2f}  {sent:10.1f}"
        print(total, flush=True)
        self.forget()


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--battles", type=int, default=150, help="in the young arena, and again in the older one")
    parser.add_argument("--models", type=int, default=8)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    costs = Costs()
    with tempfile.TemporaryDirectory() as folder, private_postgres() as postgres:
        measure("SQLite", open_database(f"sqlite:///{Path(folder) / 'arena.db'}"), given, costs)
        if postgres:
            measure("PostgreSQL", open_database(create(postgres, "arena")), given, costs)


def measure(name: str, database: Database, given: argparse.Namespace, costs: Costs) -> None:
    """Print the costs in a young arena and in one that has outgrown counting people with each vote."""
    play = Bookkeeping(database, given.models, costs).play
    for _ in range(WARM_UP):
        play()
    costs.forget()
    for _ in range(given.battles):
        play()
    costs.report(f"{name}, CPU ms in a young arena")
    for _ in range(max(0, WITH_EACH_VOTE + WARM_UP - given.battles)):
        play()
    costs.forget()
    for _ in range(given.battles):
        play()
    costs.report(f"{name}, CPU ms after {WITH_EACH_VOTE} votes")
    database.close()


class Bookkeeping:
    """The parts of an arena that keep its books."""

    def __init__(self, database: Database, models: int, costs: Costs) -> None:
        self.database = database
        self.costs = costs
        self.chance = random.Random(models)
        self.roster = [
            ModelEntry(id=f"model-{n}", api_type="openai", model_name=f"gpt-{n}", display_name=f"Model {n}")
            for n in range(models)
        ]
        self.limits = Limits(database, Settings(battles_per_minute=100_000))
        self.evidence = VoteEvidence(database)
        self.retelling = Retelling(database, Leaderboard(database), NO_RUBRIC, max_turns=10, demo=False)
        self.patterns = identity_patterns(self.roster)

    def play(self) -> None:
        """One battle's bookkeeping, from its admission to its vote."""
        voter = VoterIdentity(new_id(), address_hash=new_id())
        first, second = (Attempt(model, None, Sampling(), 1) for model in self.chance.sample(self.roster, 2))
        new = NewBattle(voter.voter_id, Mode.BATTLE, "Which tree shall I plant?", (first, second), "Who?", "1")
        self._begin(voter, new)
        self._end(new)
        with self.costs.of("retelling: vote"):
            self.retelling.vote(Ballot(new.id, voter.voter_id, self.chance.choice(list(Winner))))
        with self.costs.of("evidence: refresh after the vote"):
            self.evidence.refresh()

    def _begin(self, voter: VoterIdentity, new: NewBattle) -> None:
        with self.costs.of("limits: admit"):
            self.limits.admit(voter)
        with self.costs.of("store: start_battle"):
            start_battle(self.database, new)
        with self.costs.of("evidence: refresh after the start"):
            self.evidence.refresh()

    def _end(self, new: NewBattle) -> None:
        first, second = new.attempts
        first.progress, second.progress = answer_of(self.chance), answer_of(self.chance)
        with self.costs.of("identity: two answers"):
            findings = tuple(find_identity(attempt.progress.text, self.patterns) for attempt in new.attempts)
        ended = EndedTurn(
            battle_id=new.id,
            turn=1,
            outcome=BattleState.VOTABLE,
            reason=None,
            attempts=([first], [second]),
            findings=(findings[0], findings[1]),
            first_shown_ms=500.0,
            answered_ms=2000.0,
        )
        with self.costs.of("store: end_turn"):
            end_turn(self.database, ended)


def answer_of(chance: random.Random) -> AnswerProgress:
    """An answer of some 2,000 characters."""
    text = " ".join(chance.choices(WORDS.split(), k=420))
    finish = Finish("stop", input_tokens=20, output_tokens=450, request_id=new_id())
    return AnswerProgress(text=text, finish=finish, first_token_ms=480.0, total_ms=1900.0)


if __name__ == "__main__":
    main()

"""How long it takes to tell how people judge: `python -m benchmarks.consistency [--votes N …] [--share S]`.

Fills a fresh SQLite file with `--votes` votes by a tenth as many people. A share of them are judgements of answers that
five people were shown each, with two criteria rated. Then reads what the Analytics page tells everybody, and what the
operator is told of the fifty busiest voters. A vote never waits for either: both are read beside the votes, the page's
part at most a twentieth of the time.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

from arena.config import prepare_process

prepare_process()

from arena.consistency import read_consistency, read_voter_findings  # noqa: E402 - after numpy's threads are set
from arena.database import Database, open_database  # noqa: E402
from arena.rubric import Rubric, load_rubric  # noqa: E402
from arena.tables import Answer, Battle, BattleState, Conversation, ConversationKind, Mode, Seat, Side, Vote  # noqa: E402
from benchmarks.many_votes import fill  # noqa: E402

MODELS, PEOPLE = 12, 5
_WORDS = ("model_a", "model_b", "tie")
_BATCH = 2_000


def main() -> None:
    """Measure each number of votes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--share", type=float, default=0.1, help="of votes on answers that several people judged")
    given = parser.parse_args()
    print("    votes  judgements  page, s  CPU, s  operator, s  CPU, s")
    for votes in given.votes:
        with tempfile.TemporaryDirectory() as folder:
            rubric = load_rubric(Path(folder))
            database = open_database(f"sqlite:///{Path(folder) / 'arena.db'}")
            shared = int(votes * given.share)
            fill(database, MODELS, votes - shared)
            add_judgements(database, rubric, votes - shared, shared // PEOPLE)
            page, page_cpu = clocked(lambda database=database, rubric=rubric: read_consistency(database, rubric))
            desk, desk_cpu = clocked(lambda database=database, rubric=rubric: read_voter_findings(database, rubric))
            print(f"{votes:9,}  {shared:10,}  {page:7.2f}  {page_cpu:6.2f}  {desk:11.2f}  {desk_cpu:6.2f}", flush=True)
            database.close()


def clocked(read: object) -> tuple[float, float]:
    """Seconds by the wall clock and of this thread."""
    began, cpu = time.perf_counter(), time.thread_time()
    read()  # type: ignore[operator]
    return time.perf_counter() - began, time.thread_time() - cpu


def add_judgements(database: Database, rubric: Rubric, before: int, items: int) -> None:
    """So many pairs of answers, each judged by five of the people that are there already."""
    chance = random.Random(4)
    people = max(before // 10, PEOPLE)
    for start in range(0, items, _BATCH):
        rows: dict[type, list[dict[str, object]]] = {kind: [] for kind in (Conversation, Answer, Battle, Seat, Vote)}
        for item in range(start, min(start + _BATCH, items)):
            _add_item(rows, rubric, item, before, [f"voter-{n}" for n in chance.sample(range(people), PEOPLE)], chance)
        with database.write() as session:
            for kind, values in rows.items():
                session.execute(insert(kind), values)


def _add_item(
    rows: dict[type, list[dict[str, object]]],
    rubric: Rubric,
    item: int,
    before: int,
    voters: list[str],
    chance: random.Random,
) -> None:
    place, (a, b) = f"item-{item}", chance.sample(range(1, MODELS + 1), 2)
    better = chance.choice(_WORDS)
    conversation = {"id": place, "kind": ConversationKind.CAMPAIGN, "voter_id": voters[0]}
    rows[Conversation].append({**conversation, "history": [], "challenge_tags": []})
    for side, revision in zip("ab", (a, b), strict=True):
        answer = {"id": f"{place}-{side}", "conversation_id": place, "revision_id": revision, "turn": 1, "attempt": 1}
        rows[Answer].append({**answer, "text": "Begin.", "finish_reason": "stop", "sampling": {}})
    for number, voter in enumerate(voters):
        battle = f"{place}-{number}"
        said = better if chance.random() < 0.6 else chance.choice(_WORDS)
        rows[Battle].append(
            {
                **{"id": battle, "conversation_id": place, "voter_id": voter, "mode": Mode.CAMPAIGN},
                **{"state": BattleState.VOTED, "turn": 1, "revision_a": a, "revision_b": b},
                **{"question": "Which is better?", "question_version": "1"},
            }
        )
        rows[Seat] += [
            {"battle_id": battle, "side": side, "turn": 1, "answer_id": f"{place}-{side.value}"} for side in Side
        ]
        rows[Vote].append(
            {
                **{"battle_id": battle, "winner": said, "turn": 1, "voter_id": voter, "rated": True},
                **{"criteria": {c.id: chance.choice(_WORDS) for c in rubric.criteria[:2]}},
                **{"rubric_version": rubric.version, "sequence": before + PEOPLE * item + number + 1},
            }
        )


if __name__ == "__main__":
    main()

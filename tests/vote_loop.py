"""Cast votes for ever and print each battle once its vote is acknowledged; for being killed.

`python -m tests.vote_loop URL SEED`
"""

import random
import sys
from threading import Lock, Thread

from arena.battle.verdicts import Ballot, cast
from arena.database import Database
from arena.revisions import ensure_revision
from arena.roster import ModelEntry
from arena.tables import Battle, BattleState, Conversation, ConversationKind, Mode, Winner
from arena.voters import ensure_voter
from tests.arena_facts import RUBRIC

MODELS = [ModelEntry(id=name, api_type="openai", model_name=name) for name in ("tortoise", "hare", "fox")]
THREADS = 3


def vote_until_killed(url: str, seed: int) -> None:
    """Vote in several threads, for ever."""
    database = Database(url)
    telling = Lock()
    for number in range(THREADS):
        Thread(target=_vote_for_ever, args=(database, random.Random(seed * THREADS + number), telling)).start()


def _vote_for_ever(database: Database, rng: random.Random, telling: Lock) -> None:
    while True:
        battle_id = _votable_battle(database, rng)
        ballot = Ballot(battle_id, "anna", rng.choice(list(Winner)), {"clarity": "model_a"})
        cast(database, ballot, RUBRIC, demo=False)
        with telling:
            sys.stdout.write(f"{battle_id}\n")
            sys.stdout.flush()


def _votable_battle(database: Database, rng: random.Random) -> str:
    with database.write() as session:
        ensure_voter(session, "anna")
        a, b = (ensure_revision(session, model, None).id for model in rng.sample(MODELS, 2))
        conversation = Conversation(kind=ConversationKind.BATTLE, voter_id="anna")
        session.add(conversation)
        session.flush()
        battle = Battle(
            conversation_id=conversation.id,
            voter_id="anna",
            mode=Mode.BATTLE,
            state=BattleState.VOTABLE,
            revision_a=a,
            revision_b=b,
            question="Which is better?",
            question_version="1",
        )
        session.add(battle)
        session.flush()
        return battle.id


if __name__ == "__main__":
    vote_until_killed(sys.argv[1], int(sys.argv[2]))

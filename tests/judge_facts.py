"""What the tests of judges share: an arena's database with votes, a roster with a judge, and a scripted judge."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from arena.database import Database
from arena.judge.items import Pair, find_pairs
from arena.judge.records import Judge, Outcome, Question, keep
from arena.judge.verdict import Verdict
from arena.roster import ModelEntry
from arena.rubric import Rubric
from arena.spending import Cost
from arena.tables import Battle, Mode, Seat, Vote, Winner
from tests.arena_facts import add_models, add_vote, judge_again
from tests.scripted_openai import ScriptedOpenAI

PRICE = {"input": 1.0, "output": 10.0}
RUBRIC_FILE = """\
version: r1
criteria:
  - id: clarity
    name: Clarity
    question: Which answer is clearer?
    toward: {name: Clear, looks_like: Plain words., example: Rest. Then walk.}
    away: {name: Muddled, looks_like: Thoughts that run together., example: Rest may be unless walking.}
"""

Said = Mapping[str, str]


def material_in(prompt: str) -> tuple[str, str]:
    """The two answers of the last turn in a request, as the judge was shown them."""
    material = prompt.split("=== BEGIN MATERIAL ===")[1].split("=== END MATERIAL ===")[0]
    turn = json.loads(material)["turns"][-1]
    return turn["answer_a"], turn["answer_b"]


def says(overall: str, clarity: str = "even", reason: str = "It is plainer.") -> str:
    """A verdict in the form asked for."""
    return json.dumps({"reason": reason, "criteria": {"clarity": clarity}, "overall": overall})


def prefers(choose: Callable[[str, str], str]) -> Callable[[str], str]:
    """A judge that chooses by the two answers it is shown, on the criterion as overall."""

    def judge(prompt: str) -> str:
        if "=== BEGIN MATERIAL ===" not in prompt:
            raise AssertionError("asked again")
        word = choose(*material_in(prompt))
        return says(word, word)

    return judge


def good_one(a: str, b: str) -> str:
    """The answer that says 'good'."""
    return "A" if "good" in a else "B" if "good" in b else "even"


def write_judged_arena(folder: Path, llm: ScriptedOpenAI, **keys: object) -> Path:
    """A data folder with a small rubric, and beside it a roster with two models and a judge; returns the roster."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rubric.yaml").write_text(RUBRIC_FILE, encoding="utf-8")
    entry = {"api_type": "openai", "api_base": llm.url}
    roster = {
        "heron": entry,
        "wren": entry,
        "owl": {**entry, "role": "judge", "price": PRICE, **keys},
    }
    path = folder.parent / "models.yaml"
    path.write_text(json.dumps(roster), encoding="utf-8")
    return path


def add_pairs(database: Database, number: int, winner: Winner = Winner.MODEL_A) -> list[str]:
    """So many battles that one person voted on, each with a good answer in seat A; returns their ids."""
    heron, wren = add_models(database, "heron", "wren")
    return [
        add_vote(
            database,
            heron,
            wren,
            winner,
            mode=Mode.BATTLE,
            voter="anna",
            criteria={"clarity": winner.value},
            rubric_version="r1",
            turns=[(f"Question {n}?", f"A good answer {n}.", f"A poor answer {n}.")],
        )
        for n in range(number)
    ]


def add_judged_pairs(database: Database, rubric: Rubric, number: int, *, stuck: int = 0) -> list[str]:
    """Battles that two people judged alike, A and B in turn, and a judge the same way, but `stuck` by seat A."""
    heron, wren = add_models(database, "heron", "wren")
    first = rubric.criteria[0].id
    battles = []
    for n in range(number):
        winner = Winner.MODEL_A if n % 2 == 0 else Winner.MODEL_B
        criteria, version = {first: winner.value}, rubric.version
        battle = add_vote(
            database,
            heron,
            wren,
            winner,
            mode=Mode.BATTLE,
            voter="anna",
            criteria=criteria,
            rubric_version=version,
            turns=[(f"Question {n}?", f"Heron's answer {n}.", f"Wren's answer {n}.")],
        )
        judge_again(database, battle, winner, voter="ben", criteria=criteria, rubric_version=version)
        battles.append(battle)
    with database.write() as session:
        judge = Judge("owl-1", ModelEntry(id="owl", api_type="demo", role="judge"), rubric.version)
        fought = [session.get_one(Battle, battle).conversation_id for battle in battles]
        pairs = sorted(find_pairs(session, "voted"), key=lambda pair: fought.index(pair.conversation_id))
        for n, (battle, pair) in enumerate(zip(battles, pairs, strict=True)):
            for swapped in (False, True):
                word = _by_seat(session, battle, pair, swapped=swapped) if n >= stuck else Winner.MODEL_A
                verdict = Verdict(word, dict.fromkeys((c.id for c in rubric), word.value), "Dry, but it holds.")
                keep(session, judge, Question(pair, swapped), Outcome(verdict, None, "", 1, Cost(100, 10)))
    return battles


def _by_seat(session: Session, battle: str, pair: Pair, *, swapped: bool) -> Winner:
    """What the people said of the pair, in the letters of the order that the judge was shown."""
    vote = session.get_one(Vote, battle)
    seats = session.scalars(select(Seat.answer_id).where(Seat.battle_id == battle).order_by(Seat.side)).all()
    first_is_a = seats[0] == pair.item[0][0]
    first_won = (vote.winner is Winner.MODEL_A) == first_is_a
    return Winner.MODEL_A if first_won != swapped else Winner.MODEL_B

"""Votes to training files: `python -m benchmarks.preferences [--votes 10000 100000 1000000] [--out DIR]`.

Fills a SQLite file with battles of prose (some 600 characters an answer, with a few of what the gates hold back), then
selects pairs and writes OpenAI files with a validation split, each size in a process of its own, so that the operating
system tells the peak of its memory. `CPU` is of both steps together.
"""

import argparse
import json
import logging
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from arena.challenges import load_challenges
from arena.config import load_settings
from arena.database import Database, open_database
from arena.preferences.export import export_files
from arena.preferences.filters import Filters
from arena.preferences.rules import rules_of
from arena.preferences.selection import select_votes
from arena.tables import (
    Answer,
    Battle,
    BattleState,
    Conversation,
    ConversationKind,
    Mode,
    ModelRevision,
    Prompt,
    Seat,
    Side,
    Vote,
    Voter,
    Winner,
)
from arena.terminal import progress
from benchmarks.made_up import revision_row

MODELS = 20
BATCH = 2_000
BLOCK = 10_000
TABLES: Sequence[Any] = (Conversation, Prompt, Answer, Battle, Seat, Vote)
PROSE = (
    "begin with what you want to see then look at where you stand now and let the difference pull you forward as a "
    "gardener who sees the orchard in the bare field plants one tree and comes back tomorrow to plant another one"
)


def main() -> None:
    """Measure each number of votes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, help="where the databases and files go; default a temporary folder")
    parser.add_argument("--fill", type=Path, metavar="FILE", help="only make a database of so many votes")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if given.fill:
        fill(given.fill, given.votes[0], lambda share: None)
        return
    if given.measure:
        print(json.dumps(measure(given.out, given.votes[0])))
        return
    print("    votes   lines held back   select    write      CPU   peak MB  file MB  MB on disk meanwhile")
    with tempfile.TemporaryDirectory() as folder:
        for votes in given.votes:
            report(given.out or Path(folder), votes)


def report(folder: Path, votes: int) -> None:
    """Fill and measure, and print one line."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"votes-{votes}.db"
    if not file.exists():
        with progress(f"Making {votes:,} votes", sys.stderr) as bar:
            fill(file, votes, bar)
    command = [sys.executable, "-m", "benchmarks.preferences", "--measure", "--out", str(folder), "--votes", str(votes)]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    print(
        f"{votes:9,} {told['lines']:7,} {told['held_back']:9,} {told['select']:6.1f} s {told['write']:6.1f} s "
        f"{told['cpu']:6.1f} s {told['peak'] / 1e6:9.0f} {told['bytes'] / 1e6:8.1f} {told['scratch'] / 1e6:8.0f}",
        flush=True,
    )


def measure(folder: Path, votes: int) -> dict[str, float]:
    """Select and write in this process."""
    settings = load_settings(data_dir=folder)
    database = open_database(f"sqlite:///{folder / f'votes-{votes}.db'}")
    began = time.perf_counter()
    with progress("Selecting", sys.stderr) as bar:
        selection = select_votes(database, Filters(), load_challenges(folder), folder, bar)
    selected = time.perf_counter()
    scratch = sum(path.stat().st_size for path in folder.glob(".selection-*/*"))
    with selection, progress("Writing", sys.stderr) as bar:
        rules = rules_of(settings, "openai")
        out = folder / "train.jsonl"
        manifests = export_files(selection, "openai", rules, out, folder / "validation.jsonl", 0.1, bar)
    written = time.perf_counter()
    database.close()
    return {
        "lines": sum(manifest.lines for manifest in manifests),
        "held_back": sum(selection.held_back_counts.values()) + sum(selection.no_pair.values()),
        "select": selected - began,
        "write": written - selected,
        "bytes": sum(manifest.bytes for manifest in manifests),
        "scratch": scratch,
        "cpu": time.process_time(),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def fill(file: Path, votes: int, bar: Callable[[float], None]) -> None:
    """Models and voters, then so many voted battles: a block of them, and the same block under further prompts."""
    draft = file.with_suffix(".part")
    block = min(votes, BLOCK)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / "block.db"
        _make_block(made, random.Random(votes), block)
        open_database(f"sqlite:///{draft}").close()
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("ATTACH ? AS block", (str(made),))
            for table in ("model_revisions", "voters"):
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM block.{table}")
            for copy in range(votes // block):
                _copy(connection, copy, block)
                bar((copy + 1) * block / votes)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    draft.rename(file)


def _make_block(file: Path, chance: random.Random, votes: int) -> None:
    database = open_database(f"sqlite:///{file}")
    with database.write() as session:
        session.execute(insert(ModelRevision), [revision_row(number) for number in range(MODELS)])
        session.execute(insert(Voter), [{"id": f"voter-{n}"} for n in range(max(1, votes // 20))])
    for start in range(0, votes, BATCH):
        _add(database, chance, range(start, min(start + BATCH, votes)), votes)
    database.close()


def _copy(connection: sqlite3.Connection, copy: int, block: int) -> None:
    """Copy the block; what names its rows gets the copy's number, and its prompts and sequence numbers too."""
    connection.execute("BEGIN")
    for table in TABLES:
        names = [column.name for column in table.__table__.columns]
        values = ", ".join(_changed(name, copy, block) for name in names)
        name = table.__tablename__
        connection.execute(f"INSERT INTO main.{name} ({', '.join(names)}) SELECT {values} FROM block.{name}")
    connection.execute("COMMIT")


def _changed(column: str, copy: int, block: int) -> str:
    if column in ("id", "conversation_id", "battle_id", "answer_id"):
        return f"'{copy:08x}' || substr({column}, 9)"
    if column == "sequence":
        return f"sequence + {copy * block}"
    is_prompt = f"CASE WHEN text LIKE '%?' THEN '{copy}/' || text ELSE text END"
    return is_prompt if column == "text" else column


def _add(database: Database, chance: random.Random, numbers: Sequence[int], votes: int) -> None:
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for number in numbers:
        for table, row in _battle(chance, number, f"voter-{chance.randrange(max(1, votes // 20))}"):
            rows[table].append(row)
    with database.write() as session:
        for table, made in rows.items():
            session.execute(insert(table), made)


def _battle(chance: random.Random, number: int, voter: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    battle = conversation = f"{number:032x}"
    one, other = (place + 1 for place in chance.sample(range(MODELS), 2))
    yield Conversation, {"id": conversation, "kind": ConversationKind.BATTLE, "voter_id": voter, "history": []}
    yield Prompt, {"conversation_id": conversation, "turn": 1, "text": f"{number}: {prose(chance, 12)}?"}
    yield (
        Battle,
        {
            "id": battle,
            "conversation_id": conversation,
            "voter_id": voter,
            "mode": Mode.BATTLE,
            "state": BattleState.VOTED,
            "revision_a": one,
            "revision_b": other,
            "question": "",
            "question_version": "1",
        },
    )
    for side, revision in ((Side.A, one), (Side.B, other)):
        answer = f"{number:031x}{side.value}"
        yield (
            Answer,
            {
                "id": answer,
                "conversation_id": conversation,
                "revision_id": revision,
                "turn": 1,
                "attempt": 1,
                "side": side,
                "text": spoiled(chance, prose(chance, chance.randint(60, 180))),
                "finish_reason": "length" if chance.random() < 0.01 else "stop",
                "sampling": {},
                "identity_findings": [],
            },
        )
        yield Seat, {"battle_id": battle, "side": side, "turn": 1, "answer_id": answer}
    winner = chance.choices(list(Winner), (4, 4, 1, 1))[0]
    yield (
        Vote,
        {
            "battle_id": battle,
            "winner": winner,
            "turn": 1,
            "criteria": {},
            "voter_id": voter,
            "rated": True,
            "sequence": number + 1,
        },
    )


def prose(chance: random.Random, words: int) -> str:
    """So many words, in sentences of a dozen."""
    chosen = chance.choices(PROSE.split(), k=words)
    sentences = (" ".join(chosen[start : start + 12]).capitalize() for start in range(0, words, 12))
    return ". ".join(sentences)


def spoiled(chance: random.Random, text: str) -> str:
    """The text; one in thirty says what a gate holds back, or what it has to look at twice."""
    luck = chance.random()
    if luck < 0.01:
        return f"I'm sorry, but I cannot help with that. {text}"
    if luck < 0.02:
        return f"{text} Write to jane.roe@orchard-keepers.net or call +49 30 901820."
    return f"{text} See https://www.gutenberg.org/files/1342/1342-h.htm." if luck < 0.2 else text


if __name__ == "__main__":
    main()

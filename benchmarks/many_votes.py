"""A database of very many votes, made inside SQLite: some tenths of a second for ten thousand."""

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, text

from arena.counts import rebuild_counts
from arena.database import Database
from arena.stamps import VOTES
from arena.tables import Counter, ModelRevision, now
from benchmarks.made_up import revision_row

FAMILIES, LANGUAGES, TAGS = 12, ("en", "de", "fr", "es", "pt"), ("work", "relationships", "health", "money")
ANSWERED = 20_000
"""So many of the latest battles have their prompts and answers."""

_RANDOM = "(abs(random()) % 1000000) / 1000000.0"

_VOTERS = """
INSERT INTO voters (id, created_at)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :people - 1)
SELECT 'voter-' || i, :start FROM n"""

# Two models, a voter and a moment by chance; the stronger one wins as often as its rating says.
_DRAWN = f"""
CREATE TEMPORARY TABLE drawn AS
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :votes),
pairs AS MATERIALIZED (SELECT i, abs(random()) % :models AS a, 1 + abs(random()) % (:models - 1) AS step,
  abs(random()) % :people AS voter, {_RANDOM} AS luck, {_RANDOM} AS fate FROM n)
SELECT pairs.i, 1 + a AS a, 1 + (a + step) % :models AS b, 'voter-' || (voter * voter / :people) AS voter,
  CASE WHEN fate < 0.15 THEN 'tie' WHEN fate < 0.25 THEN 'both_bad'
    WHEN luck < 1 / (1 + exp(sb.strength - sa.strength)) THEN 'model_a' ELSE 'model_b' END AS winner,
  strftime('%Y-%m-%d %H:%M:%f', :start, '+' || CAST(i * :seconds AS INTEGER) || ' seconds') || '000' AS at,
  CASE abs(random()) % 6 WHEN 0 THEN 2 WHEN 1 THEN 3 ELSE 1 END AS turn
FROM pairs JOIN strengths sa ON sa.id = 1 + a JOIN strengths sb ON sb.id = 1 + (a + step) % :models"""

_BY_TAG = " ".join(f"WHEN {place} THEN '[\"{tag}\"]'" for place, tag in enumerate(TAGS))
_BY_LANGUAGE = " ".join(f"WHEN {place} THEN '{code}'" for place, code in enumerate(LANGUAGES))
_CONVERSATIONS = f"""
INSERT INTO conversations (id, kind, voter_id, history, challenge_tags, language, created_at)
SELECT 'c' || i, 'battle', voter, '[]',
  CASE i % {len(TAGS) + 1} {_BY_TAG} ELSE '[]' END, CASE i % {len(LANGUAGES)} {_BY_LANGUAGE} END, at
FROM drawn"""

_BATTLES = """
INSERT INTO battles (id, conversation_id, voter_id, mode, state, turn, revision_a, revision_b, question,
  question_version, created_at)
SELECT 'b' || i, 'c' || i, voter, 'battle', 'voted', turn, a, b, 'Which is better?', '1', at FROM drawn"""

_VOTES = """
INSERT INTO votes (battle_id, winner, turn, criteria, voter_id, state, rated, shown_first, sequence, created_at,
  changed_at)
SELECT 'b' || i, winner, turn, '{}', voter, 'counted', 1, 'a', i, at, at FROM drawn"""

_PROMPTS = """
INSERT INTO prompts (conversation_id, turn, text, created_at)
SELECT 'c' || i, 1, 'How do I begin number ' || i || '?', at FROM drawn WHERE i > :votes - :answered"""

_ANSWERS = f"""
INSERT INTO answers (id, conversation_id, revision_id, turn, attempt, side, text, reasoning, finish_reason, sampling,
  started_at, first_token_ms, total_ms, identity_findings)
SELECT '{{side}}' || i, 'c' || i, {{side}}, 1, 1, '{{side}}', 'Begin with what you want: answer ' || i || '.', '',
  'stop', '{{{{}}}}', at, 200 + 900 * {_RANDOM}, 4000, '[]' FROM drawn WHERE i > :votes - :answered"""

_SEATS = """
INSERT INTO seats (battle_id, side, turn, answer_id)
SELECT 'b' || i, '{side}', 1, '{side}' || i FROM drawn WHERE i > :votes - :answered"""


def fill(database: Database, models: int, votes: int, *, days: int = 90) -> None:
    """Fill a fresh SQLite database: `models` in families with versions, `votes` by a tenth as many people."""
    chance = random.Random(models)
    start = (now() - timedelta(days=days)).replace(tzinfo=None).isoformat(sep=" ")
    given = {
        "models": models,
        "votes": votes,
        "people": max(votes // 10, 1),
        "start": start,
        "seconds": days * 86_400 / votes,
        "answered": ANSWERED,
    }
    with database.write() as session:
        session.execute(insert(ModelRevision), [_revision(number) for number in range(models)])
        session.add(Counter(name=VOTES, value=votes))
        session.flush()
        session.execute(text("CREATE TEMPORARY TABLE strengths (id INTEGER PRIMARY KEY, strength REAL)"))
        strengths = [{"id": number + 1, "strength": chance.gauss(0, 0.8)} for number in range(models)]
        session.execute(text("INSERT INTO strengths VALUES (:id, :strength)"), strengths)
        by_side = [table.format(side=side) for side in "ab" for table in (_ANSWERS, _SEATS)]
        for statement in (_VOTERS, _DRAWN, _CONVERSATIONS, _BATTLES, _VOTES, _PROMPTS, *by_side):
            session.execute(text(statement), {name: given[name] for name in given if f":{name}" in statement})
        session.execute(text("DROP TABLE drawn"))
        session.execute(text("DROP TABLE strengths"))
    rebuild_counts(database)


def _revision(number: int) -> dict[str, Any]:
    family, version = number % FAMILIES, number // FAMILIES + 1
    return revision_row(number) | {
        "display_name": f"Model {chr(65 + family)}{version}",
        "family": f"family-{chr(97 + family)}",
        "version": str(version),
    }

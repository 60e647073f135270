"""Standings by who voted: people with few votes and with many, signed in and not."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from arena.ballots import Ballots, Slice, read_ballots
from arena.database import Database
from arena.rating_table import look_at, tabulate
from arena.stamps import latest_sequence
from arena.standings import Standings
from arena.tables import ModelRevision

REGULAR_VOTES = 10
"""From so many counted votes on a voter is a regular one."""

NEWCOMERS = f"People with fewer than {REGULAR_VOTES} votes"
REGULARS = f"People with {REGULAR_VOTES} votes or more"
SIGNED_IN = "People who signed in"
ANONYMOUS = "People who did not sign in"


def read_voter_groups(database: Database) -> Mapping[str, Standings]:
    """The standings by each group of voters, by its name; reads all votes, which takes time by their number.

    Imported votes that do not say whose they are belong to no group.
    """
    with database.read() as session:
        revisions = session.scalars(select(ModelRevision).order_by(ModelRevision.id)).all()
    sequence = latest_sequence(database)

    def rate(ballots: Ballots) -> Standings:
        table = tabulate(revisions, ballots.counts(sequence), "model")
        crowd = look_at(table, ballots, sequence)
        return table.standings(crowd, table.inflation(crowd))

    ballots = read_ballots(database, Slice())
    given = ballots.wins_low + ballots.wins_high + ballots.ties + ballots.both_bad
    regular = (np.bincount(ballots.voter, given) >= REGULAR_VOTES)[ballots.voter]
    known = ~np.isin(ballots.voter, ballots.unknown)
    signed_in = read_ballots(database, Slice(signed_in=True))
    return {
        NEWCOMERS: rate(_only(ballots, known & ~regular)),
        REGULARS: rate(_only(ballots, known & regular)),
        SIGNED_IN: rate(signed_in),
        ANONYMOUS: rate(read_ballots(database, Slice(signed_in=False)) if signed_in.votes else signed_in),
    }


def _only(ballots: Ballots, these: NDArray[np.bool_]) -> Ballots:
    return Ballots(
        voter=ballots.voter[these],
        unknown=ballots.unknown,
        low=ballots.low[these],
        high=ballots.high[these],
        wins_low=ballots.wins_low[these],
        wins_high=ballots.wins_high[these],
        ties=ballots.ties[these],
        both_bad=ballots.both_bad[these],
    )

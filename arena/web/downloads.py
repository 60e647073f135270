"""What the Leaderboard and Analytics pages show, as files: CSV for spreadsheets, JSON for programs."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from arena.board_view import BoardView, read_view
from arena.boards import Boards
from arena.calibration import calibrate
from arena.errors import ArenaError
from arena.leaderboard import Leaderboard
from arena.spreadsheets import Row, Table
from arena.web.plain import NEVER_STORED

Rows = Sequence[Row]

MOST_MODELS = 50
"""Of the history and the matrix of pairs: the best-rated models."""


class Downloads:
    """Public routes: they tell no more than the pages do, and change only after votes."""

    def __init__(self, boards: Boards, leaderboard: Leaderboard) -> None:
        self._boards = boards
        self._leaderboard = leaderboard

    def router(self) -> APIRouter:
        """Every route."""
        router = APIRouter(include_in_schema=False)
        tables: Mapping[str, Callable[[BoardView], Rows]] = {
            "leaderboard": self.leaderboard,
            "matchups": self.matchups,
            "history": self.history,
            "versions": self.versions,
            "calibration": self.calibration,
        }
        for name, table in tables.items():
            router.add_api_route(f"/export/{name}.csv", self._answer(name, table, "csv"), methods=["GET"])
            router.add_api_route(f"/export/{name}.json", self._answer(name, table, "json"), methods=["GET"])
        return router

    def leaderboard(self, view: BoardView) -> Rows:
        """The rows of a view as the page shows them: models without votes stand on the whole leaderboard only."""
        standings = self._boards.standings(view)
        first_tokens = self._boards.first_tokens()
        return [
            {**row.as_json(), "first_token_ms": _rounded(first_tokens.get(row.revision_id))}
            for row in standings.rows
            if view.shows(row) and (row.rating is not None or view == BoardView())
        ]

    def matchups(self, _: BoardView) -> Rows:
        """Every pair of the best-rated models once, the better-rated first."""
        comparisons = self._leaderboard.comparisons()
        table = comparisons.table
        names = dict(zip(table.revisions, comparisons.names, strict=True))
        best = [row.revision_id for row in self._leaderboard.standings().rows if row.rating is not None]
        rows = []
        for place, first in enumerate(best[:MOST_MODELS]):
            for second in best[place + 1 : MOST_MODELS]:
                verdict = comparisons.between(first, second)
                row, column = table.revisions.index(first), table.revisions.index(second)
                rows.append(
                    {
                        "first": names[first],
                        "second": names[second],
                        "votes": verdict.votes,
                        "first_won": int(table.counts.wins[row, column]),
                        "second_won": int(table.counts.wins[column, row]),
                        "ties": int(table.counts.ties[row, column]),
                        "both_bad": int(table.counts.both_bad[row, column]),
                        "expected_win_rate": round(verdict.win_rate, 4),
                        "low": round(verdict.win_rate_low, 4),
                        "high": round(verdict.win_rate_high, 4),
                        "settled": verdict.settled,
                    }
                )
        return rows

    def history(self, _: BoardView) -> Rows:
        """How the ratings of the best-rated models moved."""
        shown = [row for row in self._leaderboard.standings().rows if row.rating is not None][:MOST_MODELS]
        moments = self._boards.history([row.revision_id for row in shown])
        return [
            {
                "model": row.display_name,
                "at": moment.at.isoformat(),
                "rating": _rounded(moment.rating),
                "low": _rounded(moment.low),
                "high": _rounded(moment.high),
                "votes": moment.votes,
            }
            for row in shown
            for moment in moments[row.revision_id]
        ]

    def versions(self, _: BoardView) -> Rows:
        """The rated versions of each family."""
        return [row.as_json() for row in self._leaderboard.standings(by="version").rows if row.version]

    def calibration(self, _: BoardView) -> Rows:
        """Predicted against observed win rates of the favourites."""
        return [
            {
                "predicted": round(found.predicted, 4),
                "observed": round(found.observed, 4),
                "low": round(found.low, 4),
                "high": round(found.high, 4),
                "votes": found.votes,
            }
            for found in calibrate(self._leaderboard.comparisons().table.fit)
        ]

    def _answer(
        self, name: str, table: Callable[[BoardView], Rows], kind: Literal["csv", "json"]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                view = read_view(request.query_params)
            except ArenaError as error:
                return PlainTextResponse(f"{error}\n", 400, NEVER_STORED)
            rows = await asyncio.to_thread(table, view)
            headers = {**NEVER_STORED, "Content-Disposition": f'attachment; filename="{name}.{kind}"'}
            if kind == "json":
                return JSONResponse({"rows": list(rows)}, headers=headers)
            return Response(write_csv(rows), headers=headers, media_type="text/csv")

        return answer


def write_csv(rows: Rows) -> str:
    """A table with a heading."""
    out = io.StringIO()
    Table(out, list(rows[0]) if rows else ["empty"]).write_all(rows)
    return out.getvalue()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)

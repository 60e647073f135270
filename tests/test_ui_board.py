"""What the leaderboard says of its standings, in every state: none, few, many, unbeaten, never met, long names."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from arena.fleet import ModelState, ModelStatus
from arena.leaderboard import Standing, Standings
from arena.roster import ModelEntry
from arena.ui.board import headline, lay_out
from arena.ui.forest import MOST_DRAWN
from arena.ui.html import render

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def row(
    name: str, ranks: tuple[int, int], rating: float | None = 1000, half: float = 40, **columns: object
) -> Standing:
    rated = rating is not None
    base = Standing(
        revision_id=sum(map(ord, name)),
        model_id=name.lower(),
        display_name=name,
        platform="OpenAI",
        family=None,
        version=None,
        rank_low=ranks[0],
        rank_high=ranks[1],
        rating=rating,
        low=rating - half if rating is not None else None,
        high=rating + half if rating is not None else None,
        votes=100 if rated else 0,
        wins=50 if rated else 0,
        ties=0,
        both_bad=0,
        win_rate=0.5 if rated else None,
        people=9 if rated else 0,
        preliminary=False,
    )
    return replace(base, **columns)  # type: ignore[arg-type]


def unrated(name: str) -> Standing:
    return row(name, (0, 0), None)


def standings(rows: Sequence[Standing], *, votes: int = 200, people: int = 9, groups: int = 1) -> Standings:
    return Standings(rows, votes, people, sequence=votes, computed_at=NOON, groups=groups)


def status(model_id: str, state: ModelState, **keys: object) -> ModelStatus:
    entry = ModelEntry(id=model_id, api_type="demo", display_name=model_id.title(), **keys)  # type: ignore[arg-type]
    return ModelStatus(entry, state, "its quota is used up", None, 0, {}, None, None, None, None)


def page(seen: Standings, statuses: Sequence[ModelStatus] = (), *, demo: bool = False) -> str:
    board = lay_out(seen, statuses, demo=demo)
    return render("leaderboard_head.html", board=board) + render("leaderboard.html", board=board)


def cells(html: str, name: str) -> str:
    """The rest of a model's row in the table."""
    return html.split(f'class="col-name">{name}')[1].split("</tr>")[0]


def test_a_lead_that_the_votes_decide_is_called_sure() -> None:
    seen = standings([row("Heron", (1, 1), 1100), row("Wren", (2, 3)), row("Owl", (2, 3), 950)])
    assert headline(seen) == "Heron leads, and the votes are enough to be sure of it."


def test_a_lead_that_one_other_may_overturn_names_it() -> None:
    seen = standings([row("Heron", (1, 2), 1060), row("Wren", (1, 2), 1020), row("Owl", (3, 3), 900)])
    assert headline(seen) == "Heron leads; the votes leave open whether it or Wren is best."


def test_a_lead_that_several_others_may_overturn_names_them() -> None:
    rows = [row("Heron", (1, 3), 1060), row("Wren", (1, 3)), row("Owl", (1, 3), 980), row("Tit", (4, 4), 800)]
    assert headline(standings(rows)) == "Heron leads; the votes leave open whether it, Wren or Owl is best."


def test_many_rivals_are_counted_not_listed() -> None:
    rows = [row(f"Bird {n}", (1, 9) if n < 9 else (10, 10), 1100 - n) for n in range(10)]
    assert headline(standings(rows)) == "Bird 0 leads; the votes leave open whether it or one of 8 others is best."


def test_it_is_too_early_to_tell_while_anyone_may_be_best() -> None:
    rows = [row("Heron", (1, 3), 1060), row("Wren", (1, 3)), row("Owl", (1, 3), 980)]
    assert headline(standings(rows)) == (
        "Heron is ahead, but it is too early to tell: any of the 3 rated models may be best."
    )


def test_after_a_first_tie_nobody_is_said_to_be_ahead() -> None:
    rows = [row("Heron", (1, 2)), row("Wren", (1, 2)), unrated("Owl")]
    assert headline(standings(rows, votes=1)) == (
        "2 models are level at the top, but it is too early to tell: either may be best."
    )


def test_without_votes_the_page_invites_and_draws_no_empty_axes() -> None:
    html = page(standings([unrated("Heron"), unrated("Wren")], votes=0, people=0, groups=0))
    assert "No votes yet." in html
    assert 'href="/">Start a battle</a>' in html
    assert "<table" not in html
    assert "<svg" not in html
    assert "Heron" in html
    assert "They join the table with their first vote." in html


def test_it_says_how_many_votes_of_how_many_people_and_when() -> None:
    rows = [row("Heron", (1, 2)), row("Wren", (1, 2))]
    one, many = page(standings(rows, votes=1, people=1)), page(standings(rows, votes=25_912, people=13_383))
    assert "1 vote by 1 person<" in one
    assert "25,912 votes by 13,383 people<" in many
    assert "1 March 2026, 12:00 UTC" in one


def test_models_that_never_met_are_said_to_compare_by_convention() -> None:
    rows = [row("Heron", (1, 4)), row("Wren", (1, 4)), row("Owl", (1, 4)), row("Tit", (1, 4))]
    named = [["Heron", "Wren", "Owl"], [f"Tit {number}" for number in range(8)]]
    apart, together = page(replace(standings(rows, groups=2), apart=named)), page(standings(rows))
    assert "fall into 2 groups: Heron, Wren and Owl; Tit 0, Tit 1, Tit 2, Tit 3 and 4 others." in apart
    assert "have not met, directly or through others: their ratings compare by convention" in apart
    assert "convention" not in together


def test_a_preliminary_rating_is_called_so() -> None:
    html = page(standings([row("Heron", (1, 2), 1260, 320, preliminary=True), row("Wren", (1, 2))]))
    assert html.count('<span class="quiet-mark">preliminary</span>') == 1
    assert "A hollow point is <em>preliminary</em>" in html


def test_only_what_a_visitor_may_know_of_readiness_is_on_the_page() -> None:
    rows = [row("Heron", (1, 4)), row("Wren", (1, 4)), row("Owl", (1, 4)), row("Tit", (1, 4))]
    states = [
        status("heron", ModelState.READY),
        status("wren", ModelState.RESTING),
        status("owl", ModelState.NOT_READY),
    ]
    html = page(standings(rows), states)
    for name, word in (("Heron", "Ready"), ("Wren", "Resting"), ("Owl", "Not ready"), ("Tit", "Retired")):
        assert word in cells(html, name)
    assert "quota" not in html


def test_an_earlier_revision_does_not_take_the_readiness_of_its_successor() -> None:
    old = row("Heron (revision 1)", (1, 2), revision_id=1, model_id="heron")
    new = row("Heron (revision 2)", (1, 2), revision_id=2, model_id="heron")
    board = lay_out(standings([old, new]), [status("heron", ModelState.READY)], demo=False)
    assert [entry.readiness for entry in board.rated] == ["Retired", "Ready"]


def test_an_imported_namesake_does_not_take_the_readiness_of_the_rosters_model() -> None:
    own = row("Heron", (1, 2), revision_id=1)
    imported = row("Heron", (1, 2), revision_id=2, platform="Imported")
    board = lay_out(standings([own, imported]), [status("heron", ModelState.READY)], demo=False)
    assert [entry.readiness for entry in board.rated] == ["Ready", "Retired"]


def test_a_model_that_never_fought_is_listed_from_the_roster() -> None:
    states = [
        status("heron", ModelState.READY),
        status("newcomer", ModelState.READY),
        status("judge", ModelState.READY, role="judge"),
        status("old", ModelState.READY, weight=0),
    ]
    board = lay_out(standings([row("Heron", (1, 2)), row("Wren", (1, 2))]), states, demo=False)
    assert [model.name for model in board.unrated] == ["Newcomer"]


def test_an_unbeaten_model_is_rated_with_its_interval() -> None:
    html = page(standings([row("Heron", (1, 2), 1264, 323, votes=6, wins=6, win_rate=1.0), row("Wren", (1, 2))]))
    assert "1264" in cells(html, "Heron")
    assert '941<span class="range"> to </span>1587' in cells(html, "Heron")
    assert "100%" in cells(html, "Heron")


def test_names_are_text_whatever_they_hold() -> None:
    name = '<script>alert(1)</script>"\n\n# Not a heading'
    html = page(standings([row(name, (1, 2)), row("Wren", (1, 2)), unrated("<b>New</b>")]))
    assert "<script" not in html
    assert "<b>" not in html
    assert "\n" not in html


def test_demo_votes_are_said_to_be_kept_apart() -> None:
    rows = [row("Heron", (1, 2)), row("Wren", (1, 2))]
    assert "Demo votes.</strong> They are kept apart" in page(standings(rows), demo=True)
    assert "Demo votes" not in page(standings(rows))


@pytest.mark.parametrize("size", [2, 59, 300])
def test_every_model_has_its_row_and_its_place_in_the_plot(size: int) -> None:
    rows = [row(f"Bird number {n}", (n + 1, n + 1), 1400 - 3 * n) for n in range(size)]
    html = page(standings(rows))
    assert html.count('<th role="rowheader"') == size
    assert html.count('class="forest-name"') == min(size, MOST_DRAWN)

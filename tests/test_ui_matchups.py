"""What the Analytics page says of the votes, from none to many models: who beats whom, verdicts, slices, style."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from arena.database import Database
from arena.leaderboard import Leaderboard, Slice
from arena.style import StyleControl, StyleStandings
from arena.tables import Winner
from arena.ui.analytics import Analytics, Slices, lay_out, tabulate_slice, tell_fragility
from arena.ui.html import render
from arena.ui.matchups import FITTING_MODELS, MOST_MODELS, draw_heatmap, shade
from tests.arena_facts import add_models, add_vote


def page_of(database: Database, *, style: StyleStandings | None = None, slices: Slices | None = None) -> Analytics:
    board = Leaderboard(database)
    return lay_out(board.comparisons(), board.standings(by="version"), style, slices, demo=False)


def html_of(page: Analytics) -> str:
    return render("analytics.html", page=page, operator=False)


def vote(database: Database, first: int, second: int, *winners: tuple[Winner, int]) -> None:
    for winner, times in winners:
        for number in range(times):
            add_vote(database, first, second, winner, voter=f"voter {number}")


def best_first(database: Database) -> Sequence[int]:
    return [row.revision_id for row in Leaderboard(database).standings().rows if row.rating is not None]


def test_without_votes_the_page_invites_and_shows_no_empty_table(database: Database) -> None:
    add_models(database, "heron", "wren")
    html = html_of(page_of(database))
    assert "No votes yet." in html
    assert 'href="/">Start a battle</a>' in html
    assert "<table" not in html


def test_after_one_vote_the_page_shows_the_pair_and_claims_nothing(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    vote(database, heron, wren, (Winner.MODEL_A, 1))
    page = page_of(database)
    assert page.heatmap is not None
    assert page.verdicts is None
    assert page.fragility == ""
    assert "Too few votes" in page.style.status
    assert "From 10 on" in page.lead
    assert "better than" not in html_of(page)


def test_a_cell_tells_what_is_expected_what_was_observed_and_in_how_many_votes(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    vote(database, heron, wren, (Winner.MODEL_A, 5), (Winner.MODEL_B, 2), (Winner.TIE, 2), (Winner.BOTH_BAD, 1))
    heatmap = draw_heatmap(Leaderboard(database).comparisons(), best_first(database))
    assert heatmap is not None
    (name, (itself, ahead)), (_, (behind, _)) = heatmap.rows
    assert name == "Heron"
    assert itself is None
    assert ahead is not None
    assert behind is not None
    assert (ahead.observed, ahead.votes, ahead.shade[:4]) == ("65%", 10, "for-")
    assert (behind.observed, behind.votes, behind.shade[:8]) == ("35%", 10, "against-")
    assert int(ahead.expected[:-1]) + int(behind.expected[:-1]) == 100


def test_models_that_never_met_have_an_expectation_and_say_so(database: Database) -> None:
    heron, wren, owl = add_models(database, "heron", "wren", "owl")
    vote(database, heron, wren, (Winner.MODEL_A, 6))
    vote(database, wren, owl, (Winner.MODEL_A, 6))
    page = page_of(database)
    assert page.heatmap is not None
    (apart,) = [pair for pair in page.heatmap.pairs if {pair.first, pair.second} == {"Heron", "Owl"}]
    assert (apart.votes, apart.observed, apart.first) == (0, "", "Heron")
    assert html_of(page).count("not met") == 3  # both cells, and the line for phones


def test_a_lead_beyond_doubt_is_settled_and_a_close_one_says_how_many_votes_are_missing(database: Database) -> None:
    heron, wren, owl = add_models(database, "heron", "wren", "owl")
    vote(database, heron, owl, (Winner.MODEL_A, 40), (Winner.MODEL_B, 4))
    vote(database, heron, wren, (Winner.MODEL_A, 21), (Winner.MODEL_B, 19))
    page = page_of(database)
    assert page.verdicts is not None
    assert any(sentence.startswith("Heron is better than Owl") for sentence in page.verdicts.settled)
    (between,) = [sentence for sentence in page.verdicts.unsettled if sentence.startswith("Between Heron and Wren")]
    assert "have an even chance to show it" in between
    assert "a chance of 80%" in between


def test_two_platforms_are_compared_in_a_sentence_with_its_interval(database: Database) -> None:
    (gpt,) = add_models(database, "gpt")
    (gemini,) = add_models(database, "gemini", platform="vertex")
    vote(database, gpt, gemini, (Winner.MODEL_A, 30), (Winner.MODEL_B, 5))
    (part,) = page_of(database).platforms
    assert part.title == "OpenAI against Vertex AI"
    assert part.sentence.startswith("OpenAI is better than Vertex AI")
    assert "OpenAI won 86% of 35 battles" in part.facts
    assert part.bar is not None
    assert 50 < part.bar.start < part.bar.point < part.bar.end < 100


def test_with_few_votes_between_platforms_there_is_no_verdict_yet(database: Database) -> None:
    (gpt,) = add_models(database, "gpt")
    (gemini,) = add_models(database, "gemini", platform="vertex")
    vote(database, gpt, gemini, (Winner.MODEL_A, 9))
    (part,) = page_of(database).platforms
    assert part.bar is None
    assert part.sentence == "9 votes between their models so far; a verdict stands here from 10 on."


def test_platforms_that_have_not_met_and_a_single_platform_say_so(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    vote(database, heron, wren, (Winner.MODEL_A, 2))
    (alone,) = page_of(database).platforms
    assert "All models here are of one platform (OpenAI)." in alone.sentence

    add_models(database, "gemini", platform="vertex")
    (apart,) = page_of(database).platforms
    assert apart.title == "OpenAI against Vertex AI"
    assert "have not met" in apart.sentence


def test_how_few_votes_hold_the_leader_up_is_told_with_who_would_lead_instead(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    vote(database, heron, wren, (Winner.MODEL_A, 11), (Winner.MODEL_B, 9))
    told = tell_fragility(Leaderboard(database).comparisons())
    assert told.startswith("Had ")
    assert "of the 20 not been given" in told
    assert told.endswith("Wren would lead instead of Heron.")


def test_versions_stand_by_family_where_there_are_any(database: Database) -> None:
    (first,) = add_models(database, "bird-1", family="bird", version="1")
    (second,) = add_models(database, "bird-2", family="bird", version="2")
    (other,) = add_models(database, "fish")
    vote(database, second, first, (Winner.MODEL_A, 3))
    vote(database, second, other, (Winner.MODEL_A, 3))
    page = page_of(database)
    assert [row.display_name for row in page.versions] == ["bird 2", "bird 1"]
    assert 'id="analytics-versions"' in html_of(page)


def test_style_is_told_in_words_with_both_ratings(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    vote(database, heron, wren, (Winner.MODEL_A, 9), (Winner.MODEL_B, 3))
    waiting = page_of(database, slices=Slices((), ()))
    assert waiting.pending
    assert "Being computed" in waiting.style.status

    control = StyleControl(database)
    page = page_of(database, style=control.refresh(), slices=Slices((), ()))
    control.close()
    assert not page.pending
    assert page.style.status == "From 12 votes whose answers are stored here."
    assert len(page.style.rows) == 2
    assert any(sentence.startswith("An answer twice as long") for sentence in page.style.effects)
    assert 'data-label="Held equal"' in html_of(page)


def test_a_part_of_the_votes_has_a_table_from_ten_votes_on(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    vote(database, heron, wren, (Winner.MODEL_A, 9))
    assert tabulate_slice("all", Leaderboard(database).sliced(Slice())) is None
    vote(database, heron, wren, (Winner.MODEL_B, 1))
    table = tabulate_slice("all", Leaderboard(database).sliced(Slice()))
    assert table is not None
    assert table.votes == 10
    assert "10 votes" in html_of(page_of(database, slices=Slices([table], ())))


def test_of_very_many_models_the_best_are_shown_in_a_region_that_scrolls(database: Database) -> None:
    birds = add_models(database, *[f"bird-{number}" for number in range(MOST_MODELS + 3)])
    for first, second in pairwise(birds):
        add_vote(database, first, second, Winner.MODEL_A)
    page = page_of(database)
    assert page.heatmap is not None
    assert (len(page.heatmap.rows), page.heatmap.left_out, page.heatmap.wide) == (MOST_MODELS, 3, True)
    assert len(page.heatmap.pairs) == FITTING_MODELS * (FITTING_MODELS - 1) // 2
    html = html_of(page)
    assert 'role="region" tabindex="0"' in html
    assert "3 more are not" in html


def test_names_are_text_whatever_they_hold(database: Database) -> None:
    heron, wren = add_models(database, "heron"), add_models(database, "wren", display_name="<b>Wren</b>\n\n# no")
    vote(database, heron[0], wren[0], (Winner.MODEL_A, 12))
    html = html_of(page_of(database))
    assert "<b>" not in html
    assert "\n" not in html


@pytest.mark.parametrize(
    ("rate", "name"),
    [(0.5, "even"), (0.52, "even"), (0.56, "for-1"), (0.44, "against-1"), (0.99, "for-5"), (0.0, "against-5")],
)
def test_the_colour_grows_with_the_distance_from_even(rate: float, name: str) -> None:
    assert shade(rate) == name

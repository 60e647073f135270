import random
import re
import time
from collections.abc import Sequence

import pytest

from arena.identity import _folded, find_identity, identity_patterns, roster_names
from arena.roster import ModelEntry

TUNED = "ft:gpt-4.1-nano-2025-04-14:lakeside:river250709n1b3:BrWkpMDi"
RESOURCE = "projects/242650888445/locations/us-central1/models/7008782995188350976"
ROSTER = (
    ModelEntry(id="river-openai-latest", api_type="openai", model_name=TUNED, display_name="River OpenAI (latest)"),
    ModelEntry(
        id="river-gemini-b",
        api_type="vertex",
        model_name=RESOURCE,
        display_name="River Gemini B",
        family="river-gemini",
    ),
    ModelEntry(id="local", api_type="openai", model_name="default", display_name="Quillon 8B", family="quillon"),
)
PATTERNS = identity_patterns(ROSTER)

GIVES_AWAY = (
    "I am Gemini.",
    "I'm ChatGPT, a large language model.",
    "I’m actually Claude, so let me be honest.",
    "I am **GPT-4**.",
    "I am a GPT-4o model.",
    "I am an OpenAI model, after all.",
    "I'm Google's Gemini.",
    "As an AI model developed by Google, I cannot feel this.",
    "As a Google language model I have no garden.",
    "As ChatGPT, I can only suggest.",
    "I am a large language model, trained by Google.",
    "I am an AI assistant created by the team at Anthropic.",
    "I'm a helpful chatbot from Meta.",
    "I was created by Anthropic to be helpful.",
    "I was originally fine-tuned by OpenAI.",
    "I've been trained by Google to listen.",
    "I am based on Llama 3.1 and glad of it.",
    "I run on GPT-4o.",
    "My name is Claude.",
    "My creators at OpenAI gave me this tone.",
    "You can call me Gemini.",
    "I am river-gemini-b, at your service.",
    "I'm River Gemini B.",
    "I am River OpenAI, pleased to meet you.",
    "My name is Quillon.",
    "I am Quillon 8B.",
    "I am gpt-4.1-nano-2025-04-14.",
    "Je suis un grand modèle de langage, entraîné par Google.",
    "Je suis ChatGPT.",
    "Je m'appelle Claude et je vous écoute.",
    "J'ai été développé par OpenAI.",
    "En tant que modèle de langage développé par OpenAI, je ne vois pas les couleurs.",
    "Ich bin ein großes Sprachmodell, das von Google trainiert wurde.",
    "Ich bin Gemini.",
    "Ich wurde von OpenAI entwickelt.",
    "Ich heiße Claude.",
    "Als von Google entwickeltes Sprachmodell habe ich keinen Garten.",
    "Als KI-Modell von OpenAI kann ich das nicht sehen.",
    "Soy un modelo de lenguaje desarrollado por OpenAI.",
    "Soy Gemini, y te escucho.",
    "Me llamo Claude.",
    "Fui creado por Anthropic.",
    "Como modelo de lenguaje entrenado por Google, no tengo jardín.",
)

GIVES_NOTHING_AWAY = (
    "The stone was palm-sized and warm.",
    "Open Google Maps and look for the river.",
    "I am a fan of Google Maps.",
    "I'm Google's biggest fan.",
    "I'm a Gemini, born in June.",
    "I am not ChatGPT.",
    "Claude Monet painted what he saw; I love his lilies.",
    "ChatGPT was made by OpenAI, Gemini by Google.",
    "OpenAI, Google and Anthropic publish their prices.",
    'She bowed and said: "I am Claude," and left.',
    "“I am Gemini”, said the twin.",
    "I was hired by Google in 2004.",
    "I was inspired by Apple to care about edges.",
    "I am a model railway builder.",
    "I am an AI language model and have no garden.",
    "As an AI, I do not have feelings about rivers.",
    "My name is Anna and I work at Google.",
    "I am building a bot with GPT-4.",
    "I am applying to Google next spring.",
    "I am a llama farmer in Peru.",
    "I'm the bard of this village.",
    "I run on coffee.",
    "I come from Amazon country.",
    "As a Google employee, I rode the bus.",
    "I am a program manager at a small firm.",
    "You are the model, I am the mirror.",
    "I am the default choice, they said, and local too.",
    "I walked along the river.",
    "Le modèle de Google est cité dans cet article.",
    "Je suis une femme de Google Street, à Lyon.",
    "En tant que cliente de Google, je préfère marcher.",
    "Je suis un jardinier, formé par ma mère.",
    "Ich bin ein Modellbauer aus Bremen.",
    "Ich wurde von einem Freund eingeladen.",
    "Als Kind war ich oft bei Google Earth unterwegs.",
    "Soy una persona que trabaja mucho.",
    "Me llamo Ana y uso Gemini.",
    "",
)


@pytest.mark.parametrize("text", GIVES_AWAY)
def test_a_statement_about_oneself_gives_the_writer_away(text: str) -> None:
    assert find_identity(f"Good morning. {text}\n\nNow, your orchard.", PATTERNS)


@pytest.mark.parametrize("text", GIVES_NOTHING_AWAY)
def test_a_mere_mention_gives_nobody_away(text: str) -> None:
    assert find_identity(f"Good morning. {text}\n\nNow, your orchard.", PATTERNS) == []


def test_the_findings_are_the_phrases_in_their_order() -> None:
    found = find_identity("Hello! I was created by Anthropic. Besides, my name is Claude.", PATTERNS)

    assert found == ["I was created by Anthropic", "my name is Claude"]


def test_a_name_that_all_models_share_tells_nobody_anything() -> None:
    twins = [
        ModelEntry(id=f"twin-{n}", api_type="openai", display_name=f"Twin {n}", family="willowtree") for n in (1, 2)
    ]

    assert "willowtree" not in roster_names(twins)
    assert find_identity("I am Willowtree.", identity_patterns(twins)) == []
    assert find_identity("I am Twin 2.", identity_patterns(twins)) == ["I am Twin 2"]


DISGUISES = (
    {},
    str.maketrans("iskI", "ıſKİ"),
    str.maketrans("aeoAEO", "AEOaeo"),
    str.maketrans({" ": "\u00a0", "'": "’"}),
    str.maketrans({"ß": "ẞ", "é": "É", ".": "**"}),
)
"""What patterns read over."""


def test_common_words_in_the_roster_are_no_names() -> None:
    assert set(roster_names(ROSTER)).isdisjoint({"default", "local", "projects", "models"})


def test_the_search_for_names_and_beginnings_spares_time_and_overlooks_nothing() -> None:
    chance = random.Random(5)
    for _ in range(60):
        pieces = [*chance.choices(GIVES_AWAY, k=2), *chance.choices(GIVES_NOTHING_AWAY, k=2)]
        words = [word for piece in pieces for word in piece.split(" ")]
        cut = chance.randrange(len(words))
        text = " ".join(words[cut:] + words[:cut]).translate(chance.choice(DISGUISES))
        quiet = text.translate(str.maketrans({"*": None, "`": None, "’": "'", "‘": "'", "\u00a0": " "}))
        every = {
            match.span(): match.group().strip()
            for statements in PATTERNS.statements.values()
            for statement in statements
            for match in statement.finditer(quiet)
        }
        assert find_identity(text, PATTERNS) == list(dict.fromkeys(every[span] for span in sorted(every)))


def test_the_search_folds_letters_as_the_patterns_do() -> None:
    """Every letter that a pattern takes for a letter of a name or a beginning is also found by the search."""
    letters = {letter for openings in PATTERNS.statements for opening in openings for letter in opening}
    letters |= {letter for name in PATTERNS.names for letter in name}
    every = "".join(map(chr, range(0x110000)))
    for same in re.findall(f"[{re.escape(''.join(sorted(letters)))}]", every, re.IGNORECASE):
        for letter in letters:
            if re.fullmatch(re.escape(letter), same, re.IGNORECASE):
                assert letter in _folded(same), (letter, same)


@pytest.mark.parametrize(
    "pieces",
    [
        ["I am a very good and quite remarkable, "],
        ["As a ", "kind ", "assistant "],
        ["I am an AI model ", "made, "],
        ["je suis un "],
        [" "],
    ],
)
def test_a_very_long_answer_is_read_in_no_time(pieces: Sequence[str]) -> None:
    text = ("".join(pieces) * 100_000)[:100_000]
    started = time.process_time()

    find_identity(text, PATTERNS)

    assert time.process_time() - started < 2

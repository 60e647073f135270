"""The language of a prompt is what py3langid says it is."""

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from arena.config import SHIPPED_DIR
from arena.language import SURE_ENOUGH, tell_language

TEXTS = [
    "The tide comes in twice a day, and the gulls know when.",
    "Die Möwen wissen, wann das Wasser kommt.",
    "Les mouettes savent quand la mer monte.",
    "Чайки знают, когда наступает прилив.",
    "海鸥知道什么时候涨潮。",
    "カモメは潮が満ちる時を知っている。",
    "النوارس تعرف متى يأتي المد.",
    "गंगाचिल्ली जानती है कि ज्वार कब आता है।",
    "ok",
    "",
    "\U0001f426" * 50,
    (SHIPPED_DIR / "data" / "challenges.yaml").read_text(encoding="utf-8")[:2_000],
]


@pytest.fixture(scope="module")
def whole() -> LanguageIdentifier:
    """The detector as it comes."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_prompts_language_is_told_as_by_the_detector_as_it_comes(whole: LanguageIdentifier, text: str) -> None:
    code, probability = whole.classify(text)

    assert tell_language(text)[0] == (code if probability >= SURE_ENOUGH else None)


def test_languages_are_told_apart_and_too_little_text_is_not_guessed_at() -> None:
    assert [tell_language(text)[0] for text in TEXTS[:9]] == ["en", "de", "fr", "ru", "zh", "ja", "ar", "hi", None]

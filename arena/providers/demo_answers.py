"""How the demonstration models answer: a topic read from the prompt, put into phrases of their orientation."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from arena.providers.demo_phrases import PHRASES, Phrases

ORIENTATIONS: Sequence[str] = tuple(PHRASES)
"""The demonstration models' `model_name`s."""

_WISH = re.compile(
    r"\b(?:how (?:do|can|could|should|might|would) (?:i|we|you)"
    r"|(?:i|we)(?:'d| would)? (?:really )?(?:want|like|need|hope|wish|plan|try|(?:have been|am|are) trying) to"
    r"|(?:my|our) (?:goal|dream|aim|plan|wish) is to|(?:show|tell|teach) (?:me|us) how to|help (?:me|us)(?: to)?)\s+"
    r"(?P<wish>[^.?!;:\n]{3,120})",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:the|an?|my|our|your|their|her|this|these|new)\s+([a-z'-]{3,})(?:\s+([a-z'-]{4,}))?", re.I)
_WORD = re.compile(r"[^\W\d_][\w'-]{3,}")
_TURNED = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "am": "are", "i'm": "you're",
    "we": "you", "us": "you", "our": "your", "ours": "yours", "ourselves": "yourselves", "i've": "you've",
}  # fmt: skip
_STOP_WORDS = frozenset(
    re.findall(
        r"\S+",
        """about above after again against also always another any around because been before being below best better
        between both cannot could create describe does doing down during each every explain finally find finish first
        from further give goal good great have having help here into just keep kind last let's like made make makes
        many more most much must need never next nothing once only other over own please really same should show some
        something start still stop such take tell than that their them then there these they thing things think this
        those through time until very want wants ways what when where which while whom will with within without work
        would write year years your
        two three four five seven eight back less""",
    )
)
_PLAIN_NAMES = ("result", "week ahead", "people around you")


@dataclass(frozen=True, slots=True)
class Topic:
    """What a conversation is about, as far as its words tell."""

    aim: str
    """The object of 'you want': 'to start a garden with your neighbours', or the prompt's opening, quoted."""
    names: tuple[str, str, str]
    """Three things that the prompts name, to be put behind 'the'; plain ones where they name fewer."""


def read_topic(prompts: Sequence[str]) -> Topic:
    """Find the topic of a conversation's latest prompt; what is named may come from earlier ones."""
    latest = " ".join(prompts[-1].split()) if prompts else ""
    found = _WISH.search(latest)
    if found:
        aim = f"to {_turned(found['wish'].strip())}"
    else:
        opening = re.split(r"(?<=[.?!])\s|[\n:;]", latest)[0].rstrip(".?! ") or "this"
        aim = f"what you call “{_turned(' '.join(opening.split()[:14]))}”"
    names = list(dict.fromkeys([*_names(prompts), *_PLAIN_NAMES]))
    return Topic(aim, (names[0], names[1], names[2]))


def _turned(text: str) -> str:
    """`text` said to the one who wrote it."""
    return " ".join(_TURNED.get(word.lower(), word) for word in text.split())


def _names(prompts: Sequence[str]) -> Iterator[str]:
    """What stands behind an article or a possessive, the latest prompt first; if nothing does, the longest words."""
    named = False
    for prompt in reversed(prompts):
        for first, second in _NAMED.findall(prompt.lower()):
            if first not in _STOP_WORDS:
                whole = second and second not in _STOP_WORDS and not second.endswith(("s", "ed", "ing", "ly"))
                named = True
                yield f"{first} {second}" if whole else first
    for prompt in [] if named else reversed(prompts):
        words = [word for word in _WORD.findall(prompt.lower()) if word not in _STOP_WORDS and not word.endswith("ly")]
        yield from sorted(dict.fromkeys(words), key=len, reverse=True)[:3]


def compose(orientation: str, prompts: Sequence[str]) -> str:
    """The whole answer of `orientation` to a conversation's prompts; the same conversation gets the same answer."""
    topic = read_topic(prompts)
    one, two, three = topic.names
    chance = random.Random("\n".join([orientation, *prompts]))  # noqa: S311 - variety, not secrets
    paragraphs = _arrange(PHRASES[orientation], chance, first_turn=len(prompts) < 2)
    return "\n\n".join(text.format(aim=topic.aim, one=one, two=two, three=three) for text in paragraphs)


def _arrange(phrases: Phrases, chance: random.Random, *, first_turn: bool) -> Iterator[str]:
    """Choose the paragraphs of one answer and their order."""
    yield chance.choice(phrases.openings if first_turn else phrases.later_openings)
    middles = [chance.choice(middle) for middle in phrases.middles]
    if phrases.shuffled and chance.random() < 0.5:
        chance.shuffle(middles)
    yield from middles
    if phrases.headings and chance.random() < 0.8:
        yield chance.choice(phrases.headings)
    if phrases.steps:
        steps = chance.sample(phrases.steps, chance.choice((3, 4)))
        numbered = chance.random() < 0.7
        yield "\n".join(f"{number}. {step}" if numbered else f"- {step}" for number, step in enumerate(steps, start=1))
    yield chance.choice(phrases.closings)

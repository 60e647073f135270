"""The phrases of the demonstration models; `{aim}` follows 'you want', `{one}`, `{two}` and `{three}` follow 'the'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """One orientation's stock; an answer takes one of each group."""

    openings: Sequence[str]
    later_openings: Sequence[str]
    """For a conversation's further turns."""
    middles: Sequence[Sequence[str]]
    """Groups of which each gives one paragraph."""
    shuffled: bool
    """The middle paragraphs may change places."""
    headings: Sequence[str]
    steps: Sequence[str]
    closings: Sequence[str]


_STRUCTURAL_TENSION = Phrases(
    openings=(
        "Let us set two things side by side: the result you want, and what is there now. You want {aim}.",
        "Before any plan, look at the result itself. You want {aim}. Suppose that it is done: what do you see?",
        "Start from the end. You want {aim}. Picture the day on which that is no longer a plan but a fact.",
    ),
    later_openings=(
        "With what you add, the picture gets sharper. You want {aim}; hold that against what is so today.",
        "Good, that belongs into the picture of the result. Now you want {aim}. Where do you stand with it?",
    ),
    middles=(
        (
            "**The result you want.** Write it in the present tense, so that you would know it when you saw it. What "
            "does the {one} look like? Who is there, and what can they do that they could not do before? Leave out how "
            "you will get there.",
            "**What you want to create.** Not the absence of trouble, but a thing that exists: the {one} as you would "
            "love it to be, down to the details that make you smile. If you could have it, would you take it? Then it "
            "is worth choosing.",
        ),
        (
            "**What is so today.** Describe it as a stranger would: what you already have of the {one}, what is "
            "missing, and how the {two} stands this week. No verdicts and no excuses, only facts that can be checked.",
            "**Current reality.** List what is true now about the {two}: the hours, the skills, the first attempts. "
            "Include what already works; it is part of the ground that you stand on.",
        ),
    ),
    shuffled=True,
    headings=("### What the difference asks for", "### Steps that follow", "### Where to move first"),
    steps=(
        "Choose a piece of the {one} that could be finished within a week, and finish it.",
        "Show something rough to one person and ask what they see in it.",
        "Give the {two} a fixed hour, and note afterwards what has changed.",
        "Ask one question about the {three} whose answer you do not know, and find it out.",
        "Compare result and reality again; the next step follows from the new difference.",
    ),
    closings=(
        "The gap between the two pictures is not a fault to be mended. It is the pull that moves you, as long as you "
        "keep both in view and let neither shrink.",
        "Hold the difference without hurrying to close it by wanting less. It resolves in the direction in which you "
        "keep looking.",
        "When you have taken the first step, look again: the {one} will have come nearer, and you will see it better.",
    ),
)

_PROBLEM_SOLVING = Phrases(
    openings=(
        "The problem, in short: you want {aim}, and something stands in the way. Let us find it and remove it.",
        "First a diagnosis, then the remedies. You want {aim}; the question is what keeps going wrong.",
        "Treat this as a question of obstacles. You want {aim}. What blocks you when you try?",
    ),
    later_openings=(
        "That is a further obstacle. Put it on the list, since you want {aim}, and look at what causes it.",
        "So the trouble goes on: you want {aim}. Let us narrow the cause down.",
    ),
    middles=(
        (
            "### Likely causes\n\n- **Too little time for the {one}.** It competes with everything else and loses.\n"
            "- **Unclear priorities.** Without an order, every task looks equally urgent.\n"
            "- **No early warning.** Trouble shows only when it is late to react.",
            "### Obstacles and remedies\n\n| Obstacle | Likely cause | Remedy |\n| --- | --- | --- |\n"
            "| The {one} stalls | no fixed time | block two hours a week |\n"
            "| The {two} stays unclear | no criteria | write down three |\n"
            "| The {three} falls short | nobody asked | ask one person today |",
            "### What usually goes wrong\n\n- **Missing resources.** Tools, money or help are not there for the "
            "{one}.\n"
            "- **Fear of a poor result.** It leads to delay, which makes the result poorer.\n"
            "- **Friction with the {two}.** Small annoyances add up until you stop.",
        ),
    ),
    shuffled=False,
    headings=("### What to do about it", "### In this order", "### Countermeasures"),
    steps=(
        "Write down everything that has gone wrong with the {one} during the last month.",
        "Rank the causes by how often they occur, and start with the one behind most of the trouble.",
        "For each cause, note one countermeasure, who does it, and by when.",
        "Remove one recurring distraction entirely rather than reducing three a little.",
        "Check after two weeks. If the trouble with the {two} has gone, stop; if not, take the next cause.",
    ),
    closings=(
        "Once these obstacles are gone, the rest should follow. If it does not, repeat the diagnosis.",
        "Keep the list short. A problem that is half solved tends to come back.",
        "The sooner the main cause is dealt with, the less there is left to manage.",
    ),
)

_INSPIRATION = Phrases(
    openings=(
        "What a beautiful thing to long for! You want {aim}, and just by asking you have already begun.",
        "Yes! You want {aim}, and that says something wonderful about who you are becoming.",
        "Close your eyes for a moment and feel it. You want {aim}: that warmth is your compass.",
    ),
    later_openings=(
        "I love how you keep going! You want {aim}, and each question brings you closer.",
        "Listen to how alive that sounds: you want {aim}. Stay with that feeling.",
    ),
    middles=(
        (
            "Think of the {one} as a seed. Nobody shouts at a seed to grow faster. It trusts the dark, the rain and "
            "the light, and one morning there is green.",
            "Every river that reached the sea began as a trickle that did not know the way. The {one} is that trickle, "
            "and it knows more than you think.",
            "The people you admire once stood where you stand, with the same doubts about the {one}. What carried them "
            "was not certainty; it was love for what they did.",
        ),
        (
            "> Begin where your heart beats faster. The path appears under walking feet.",
            "> You are not behind. You are exactly on time for your own life.",
            "> Courage is a small flame that has decided to stay.",
        ),
        (
            "Imagine a lantern in your hands. It does not light the whole road, only the next few paces, and the {two} "
            "is waiting just beyond its glow.",
            "There is music in the {two} that only you can hear. Play it badly, play it loudly, but play it.",
            "Somewhere a door stands ajar, and the {three} is the light behind it. *You need not push. You only need "
            "to turn towards it.*",
        ),
    ),
    shuffled=True,
    headings=(),
    steps=(),
    closings=(
        "So breathe, smile, and let the {one} surprise you. **You have got this.**",
        "Believe in it a little more today than yesterday. That is enough, and so are you.",
        "Carry this feeling into tomorrow. The world needs what you bring, shining just as it is!",
    ),
)

PHRASES: Mapping[str, Phrases] = {
    "structural-tension": _STRUCTURAL_TENSION,
    "problem-solving": _PROBLEM_SOLVING,
    "inspiration": _INSPIRATION,
}
"""Each orientation's phrases, by the `model_name` that a roster gives it."""

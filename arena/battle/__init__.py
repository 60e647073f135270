"""One battle from prompt to vote: the core, the only writer of battles and votes. `Arena` is its face."""

from arena.battle.arena import Arena
from arena.battle.figures import recover_interrupted
from arena.battle.views import BattleView, ChatView, Figures, Phase, Restored, Reveal, SideReveal, TurnView

__all__ = [
    "Arena",
    "BattleView",
    "ChatView",
    "Figures",
    "Phase",
    "Restored",
    "Reveal",
    "SideReveal",
    "TurnView",
    "recover_interrupted",
]

"""Votes become the next model: jobs at the platforms, the models that come of them, and whether they are better.

`TuningDesk` is the face; what it hands out is defined beside it.
"""

from arena.finetune.desk import TuningDesk
from arena.finetune.lineage import Member, Training
from arena.finetune.plan import Plan, Wish
from arena.finetune.register import Registration, with_tuned
from arena.finetune.steps import Step, Tally

__all__ = ["Member", "Plan", "Registration", "Step", "Tally", "Training", "TuningDesk", "Wish", "with_tuned"]

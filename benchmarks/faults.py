"""What is lost when things go wrong: `python -m benchmarks.faults [--kills 1000] [--app-kills 20] [--battles 300]`.

1. A process that does nothing but vote, in three threads, is killed again and again in the middle of it.
2. The whole app is killed again and again while visitors play and vote through its pages.
3. One model fails three requests in ten, mixed and in every way one by one (`benchmarks.unsteady`).
4. The disk is full for a while (`benchmarks.full_disk`).
5. Visitors go while both models are silent (`benchmarks.closing`): how soon their streams are closed.

A part whose number is 0 is left out. Exits with 1 if an acknowledged vote was lost or doubled, fewer than 98% of the
battles were completed that could be, or half of the streams were closed later than after 0.1 s.
"""

import argparse
import logging
import random

from benchmarks import closing, full_disk, unsteady
from benchmarks.kills import kill_app, kill_voters


def main() -> int:
    """Do all of it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--app-kills", type=int, default=20)
    parser.add_argument("--battles", type=int, default=300, help="battles for each roster; a tenth for each fault")
    parser.add_argument("--disks", type=int, choices=(0, 1), default=1)
    parser.add_argument("--silences", type=int, default=20, help="silent battles, for each platform and way to leave")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    rng = random.Random(given.seed)
    failed = [
        bool(given.kills) and kill_voters(given.kills, rng),
        bool(given.app_kills) and kill_app(given.app_kills, rng),
        bool(given.battles) and unsteady.disturb(given.battles, rng),
        bool(given.disks) and full_disk.fill_disk_apart(),
        bool(given.silences) and closing.measure_all(given.silences),
    ]
    return int(any(failed))


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m arena`: the management commands."""

from arena.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

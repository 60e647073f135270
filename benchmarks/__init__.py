"""Measurements behind the figures in docs/benchmarks.md: run one as `python -m benchmarks.NAME --help`."""

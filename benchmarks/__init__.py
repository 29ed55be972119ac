"""Side-by-side timings against what a user would otherwise run: `python -m benchmarks`, into results/bench.json."""

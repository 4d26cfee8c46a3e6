"""Programs that measure, which are no tests: `python -m benchmarks` lists them."""

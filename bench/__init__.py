"""Speed, measured side by side with a yardstick in one run; see docs/benchmarks.md."""

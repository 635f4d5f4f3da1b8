"""Measurements, as ratios to constants taken in the same process and run (performance.md 10)."""

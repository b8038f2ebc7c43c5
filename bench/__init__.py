"""Benchmarks: ratios against a baseline of the same run, on the whole embedded stack."""

"""The satisfaction rate and what stands beside it: at a moment, over a period, and in the yearly report."""

"""The demo: a small province on one machine, from empty databases to the satisfaction rate."""

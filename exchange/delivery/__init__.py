"""The delivery line: registry ▸ shares. It cuts the granted fields of the granted rows and nothing else."""

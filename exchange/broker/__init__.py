"""The broker service's rules: commands on demands and grants, their states and clocks, and the satisfaction rate."""

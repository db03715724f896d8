"""The processes of the exchange: `serve`, `admit`, `deliver`, and `run` for a department's connectors."""

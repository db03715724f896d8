"""What the exchange tells of itself: logs as events with keys, metrics, and a worker's health."""

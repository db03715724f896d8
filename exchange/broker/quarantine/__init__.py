"""What operators and providers do about quarantined records: look, redrive, discard."""

"""What the console says, in Chinese and English."""

"""Public Security Department (公安厅): the household register."""

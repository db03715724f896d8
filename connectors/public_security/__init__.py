"""Public Security Department (公安厅): the household register and its deaths; takes births, to register children."""

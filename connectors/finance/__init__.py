"""Finance Department (财政厅): takes indicators, for the budget."""

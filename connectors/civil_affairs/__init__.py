"""Civil Affairs Department (民政厅): cremations and marriages."""

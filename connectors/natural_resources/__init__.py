"""Natural Resources Department (自然资源厅): rights in real estate; takes marriages, for joint ownership."""

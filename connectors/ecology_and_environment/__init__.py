"""Ecology and Environment Department (生态环境厅): penalties."""

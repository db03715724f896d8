"""The command `exchange`: one module for each group of commands."""

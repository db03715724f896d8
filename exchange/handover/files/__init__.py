"""Handover as signed files in a drop folder: for departments that take files and run no connector of their own."""

"""Inbox to registry: receive, unseal, check, admit. What comes in is hostile until it has passed."""

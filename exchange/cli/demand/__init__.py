"""`exchange demand`: demands through their life."""

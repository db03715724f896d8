"""The store: the topic is the database. Commands, the leader's term that decides them, and followers that read."""

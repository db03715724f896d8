"""A storm on the edges: `writers` that leave nothing out, and the `departments` whose tables they write."""

"""The tables of `<connector>.sqlite` in the state folder, for its owner only.

The file holds natural keys. It never holds records: of a record it knows a hash, of a row that was set aside the same.
"""

STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS rows (
        row_key TEXT PRIMARY KEY,
        natural_key TEXT NOT NULL,
        hash BLOB,
        sequence INTEGER NOT NULL,
        withdrawn INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS rows_by_natural_key ON rows (natural_key)",
    """CREATE TABLE IF NOT EXISTS set_aside (
        identity TEXT PRIMARY KEY,
        place TEXT,
        row_hash BLOB NOT NULL,
        stage TEXT NOT NULL,
        code TEXT NOT NULL,
        detail TEXT NOT NULL,
        since TEXT NOT NULL,
        announced TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS requests (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        argument TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
)
"""rows: `hash` is that of the mapped record, NULL while it is on its way to Kafka; one withdrawn stays (sequence).
set_aside: `identity` is the row's key, else its place; `announced` is when it last stood in the faults topic.
requests: `kind` is `reread` (argument: `all`, `since <moment>` or `key <row key or natural key>`), `replay` (argument:
an item of the faults log, or `all`) or `confirm-withdrawals` (no argument).
state: `books`, `cursor`, `fingerprint` and `report` (as `exchange.intake.report` encodes it), each as JSON."""

"""The tables of `<connector>.sqlite` in the state folder, for its owner only.

The file holds natural keys. It never holds records: of a record it knows a hash, of a row that was set aside the same.
"""

FORM = 2
"""`PRAGMA user_version` of a file of this form."""

FROM_FORMER = {1: ("ALTER TABLE rows ADD COLUMN row_digest BLOB",)}
"""Statements that make a file of a former form one of the next."""

STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS rows (
        id INTEGER PRIMARY KEY,
        row_key TEXT UNIQUE,
        natural_key TEXT NOT NULL,
        hash BLOB,
        intended BLOB,
        sequence INTEGER NOT NULL,
        row_sequence INTEGER NOT NULL,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        batch INTEGER NOT NULL,
        row_digest BLOB
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
        announced TEXT NOT NULL,
        natural_key TEXT,
        reading INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS requests (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        argument TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
)
"""rows: one row of the source, or, with `row_key` NULL, a natural key that no row has any longer. `hash` is that of the
record which Kafka has, NULL after a withdrawal and while nobody can tell; then `intended` is what was on its way when
the process ended. `sequence` is the last that was sent of this natural key, `row_sequence` what the row itself said.
`batch` numbers the submissions: rows of a batch behind `state.done` may or may not have reached Kafka. `row_digest` is
that of the row as it came from the source, of which the record with `hash` was made; NULL: not known.
set_aside: `identity` is the row's key, else its place, else its natural key; `announced` is when it last stood in the
faults topic; `natural_key` that of a row which waits because another one has it; `reading` numbers the whole reading
that saw it last.
requests: `kind` is `reread` (argument: `all`, `since <moment>` or `key <row key or natural key>`), `replay` (argument:
an item of the faults log, or `all`) or `confirm-withdrawals` (no argument).
state, each as JSON: `books`, `cursor`, `fingerprint`, `mapping`, `comparison`, `report` (as `exchange.intake.report`
encodes it), `floor`, `begun` and `done` (numbers of batches), `reading` (number of the last whole reading), `whole`,
`unsteady` (the version of a mapping that gave two records for one row)."""

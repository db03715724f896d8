"""What each database says of its time and its open transactions, and how it gives one moment of a table.

PostgreSQL: every transaction holds a lock on its own virtual id (or, when prepared, on its id), which `pg_locks` shows
to every role; it lets go of it after its rows can be seen. On a standby only the ids of writing transactions are known.
Sessions that bear the name of this one, which read only, and those of the server itself (without a user) are left out.
MySQL and MariaDB: `information_schema.innodb_trx` says when the oldest transaction began, to whoever may see processes.
SQLite has one writer at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Engine

from exchange.connect.sql.fetching import prepare

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
_TRX_STARTED = 2 * SECOND
"""`trx_started` counts whole seconds, and InnoDB renews what it shows ten times a second."""

_POSTGRES_OPEN = """
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, ARRAY(
    SELECT DISTINCT held.virtualtransaction FROM pg_catalog.pg_locks held
    LEFT JOIN pg_catalog.pg_stat_activity session ON session.pid = held.pid
    LEFT JOIN pg_catalog.pg_prepared_xacts prepared
        ON held.pid IS NULL AND prepared.transaction = held.transactionid
    WHERE held.locktype IN ('virtualxid', 'transactionid') AND held.mode = 'ExclusiveLock' AND held.granted
        AND held.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
        AND session.application_name IS DISTINCT FROM current_setting('application_name')
        AND (held.pid IS NULL OR session.pid IS NULL OR session.usesysid IS NOT NULL)
        AND coalesce(session.datname, prepared.database, current_database()) = current_database()
    UNION ALL
    SELECT 'x' || id FROM pg_catalog.txid_snapshot_xip(pg_catalog.txid_current_snapshot()) id
    WHERE pg_catalog.pg_is_in_recovery()
)
"""
_MYSQL_OLDEST = (
    "SELECT UTC_TIMESTAMP(6), CONVERT_TZ(MIN(trx_started), 'SYSTEM', '+00:00') FROM information_schema.innodb_trx"
    " WHERE trx_mysql_thread_id <> CONNECTION_ID() AND trx_is_read_only = 0"
)
_CLOCK = {
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "oracle": "SELECT SYS_EXTRACT_UTC(SYSTIMESTAMP) FROM dual",
    "mssql": "SELECT SYSUTCDATETIME()",
}
_REPEATABLE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_CONSISTENT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_BEGIN = {
    "postgresql": (f"{_REPEATABLE}, READ ONLY",),
    "mysql": (_REPEATABLE, _CONSISTENT),
    "mariadb": (_REPEATABLE, _CONSISTENT),
    "sqlite": ("BEGIN",),
    "oracle": ("SET TRANSACTION READ ONLY",),
    "mssql": ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT",),
}
_PATIENT = {
    "postgresql": ("SET LOCAL statement_timeout = 0", "SET LOCAL idle_in_transaction_session_timeout = 0"),
    "mysql": ("SET SESSION net_write_timeout = 3600",),
    "mariadb": ("SET SESSION net_write_timeout = 3600", "SET SESSION max_statement_time = 0"),
}
"""A whole reading takes as long as the exchange takes to submit it."""
_ACCESS_DENIED = frozenset({1227, 1142, 1044, 1045, 1109, 1146})


@dataclass(frozen=True, slots=True)
class Observation:
    """A moment of the database, in microseconds since 1970, and what was open in it."""

    moment: int
    open: frozenset[str] = frozenset()
    """Transactions by name, where the database names them."""
    oldest: int | None = None
    """Before this moment no open transaction began, where the database says that alone; None: it says nothing."""
    told: bool = False
    """Whether the database says anything of its open transactions."""
    highest: Any = None
    """The greatest cursor value that could be seen, where it was asked for."""

    def horizon(self, look_back: int) -> int:
        """The moment before which everything has been said, with a look-back in microseconds."""
        passed = self.moment - look_back
        return passed if self.oldest is None else min(passed, self.oldest)


class Session:
    """One connection: it observes, and gives rows of one moment. Ends with its context."""

    def __init__(self, connection: Any, dialect: str, patient: bool, trx_hidden: list[bool]) -> None:
        self.connection = connection
        self._dialect = dialect
        self._patient = patient
        self._trx_hidden = trx_hidden

    def observe(self) -> Observation:
        """The database's moment and what is open in it, at the moment of asking, inside of a snapshot too."""
        if self._dialect == "postgresql":
            moment, names = self._one(_POSTGRES_OPEN)
            return Observation(moment, frozenset(names), told=True)
        if self._dialect in ("mysql", "mariadb") and not self._trx_hidden[0]:
            seen = self._innodb()
            if seen is not None:
                return seen
        return Observation(_micros(self._one(_CLOCK[self._dialect])[0]))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of the transaction that may fail without ending it."""
        self._run("SAVEPOINT attempt")
        try:
            yield
        except Exception:
            self._run("ROLLBACK TO SAVEPOINT attempt")
            raise
        self._run("RELEASE SAVEPOINT attempt")

    def begin(self) -> None:
        """Begin a transaction that sees one moment; what was observed before is over."""
        self.connection.rollback()
        self._run(*_BEGIN[self._dialect])
        if self._patient:
            self._run(*_PATIENT.get(self._dialect, ()))

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of the driver."""
        cursor = self.connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """A cursor that holds a few rows at a time in memory. Whoever leaves it early leaves the connection too."""
        if self._dialect not in ("mysql", "mariadb"):
            cursor = self.connection.cursor(**({"name": "exchange_whole"} if self._dialect == "postgresql" else {}))
            try:
                yield cursor
            finally:
                cursor.close()
            return
        from exchange.connect.sql.pymysql_columns import streamed  # noqa: PLC0415 - an optional driver

        with streamed(self.connection) as cursor:
            yield cursor

    def _innodb(self) -> Observation | None:
        try:
            now, oldest = self._one(_MYSQL_OLDEST)
        except Exception as error:
            if not error.args or error.args[0] not in _ACCESS_DENIED:
                raise
            self._trx_hidden[0] = True
            return None
        moment = _micros(now)
        began = moment if oldest is None else _micros(oldest)
        return Observation(moment, oldest=began - _TRX_STARTED, told=True)

    def _one(self, statement: str) -> Any:
        with self.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()

    def _run(self, *statements: str) -> None:
        with self.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


class Snapshots:
    """Opens sessions of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._trx_hidden = [False]

    @contextmanager
    def session(self, patient: bool = False) -> Iterator[Session]:
        """A session; its transaction is rolled back at the end. patient: no time limit of the server ends it."""
        pooled = self._engine.raw_connection()
        try:
            connection = pooled.dbapi_connection
            prepare(connection, self._engine.dialect.name)
            yield Session(connection, self._engine.dialect.name, patient, self._trx_hidden)
        except BaseException:
            pooled.invalidate()  # a stream cut off in the middle, or a transaction in an unknown state
            raise
        finally:
            pooled.close()


def _micros(moment: Any) -> int:
    """A moment in UTC, as drivers give it."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return int((moment - _EPOCH) // _MICROSECOND)

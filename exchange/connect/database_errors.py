"""What an error of a department's database means: it is away, this row is wrong, or this declaration is.

PostgreSQL (and what speaks its protocol) says SQLSTATE (SQL:2023 part 2, table 38; PostgreSQL appendix A), MySQL and
MariaDB say an error number (their server error reference), SQLite a result code (sqlite3.h). What only the driver says
has neither.
"""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError, StatementError


class Kind(StrEnum):
    """Whose fault an error is, and so what helps."""

    AWAY = "away"
    """The database cannot be reached, is full, locked or restarting, or refuses the login: wait and say so."""
    ROW = "row"
    """What this row holds: set it aside and go on."""
    DECLARATION = "declaration"
    """The table, the statement or a right: stop, because waiting does not help."""


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """An error sorted. `detail` names kinds, codes, columns and constraints, never a value."""

    kind: Kind
    detail: str


_AWAY_STATES = ("08", "28", "40", "53", "57", "58", "55P03", "55006", "25006", "25P03", "25P04")
"""Class 28 (the login is refused) is away: the password changes on both sides, and never at the same moment."""
_ROW_STATES = ("22", "23", "44", "09", "38", "39", "P0", "54")
"""Class P0 is what a trigger raises; 54000 says that a value is too long for an index."""

_AWAY_NUMBERS = frozenset(
    {1021, 1037, 1038, 1040, 1041, 1043, 1045, 1047, 1053, 1077, 1078, 1079, 1080, 1105, 1114, 1129,
     1152, 1154, 1156, 1158, 1159, 1160, 1161, 1180, 1203, 1205, 1206, 1213, 1226, 1290, 1317, 1836,
     1927, 1969, 3024, 2000, 2002, 2003, 2004, 2005, 2006, 2012, 2013, 2014, 2026, 2027, 2055}
)  # fmt: skip
_ROW_NUMBERS = frozenset(
    {1022, 1048, 1062, 1118, 1169, 1216, 1217, 1263, 1264, 1265, 1292, 1366, 1367, 1369, 1403, 1406,
     1411, 1416, 1441, 1451, 1452, 1526, 1557, 1586, 1644, 1690, 1748, 1761, 1762, 3140, 3141, 3819,
     4025, 4161}
)  # fmt: skip

_AWAY_RESULTS = frozenset((5, 6, 9, 10, 13, 14, 15, 7))
_ROW_RESULTS = frozenset((18, 19, 20, 25))


def sort(error: SQLAlchemyError) -> DatabaseFault:
    """What `error` means."""
    original = getattr(error, "orig", None)
    if original is None:
        return DatabaseFault(_without_original(error), type(error).__name__)
    name = type(original).__name__
    state = getattr(original, "sqlstate", None)
    number = original.args[0] if original.args and isinstance(original.args[0], int) else None
    if number:  # before the state: MySQL says HY000 of most
        said = f", SQLSTATE {state}" if state else ""
        return DatabaseFault(_of_number(number), f"{name}, error {number}{said}")
    if state:
        return DatabaseFault(_of_state(state), f"{name}, SQLSTATE {state}{_named(original)}")
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        if code is not None:
            return DatabaseFault(_of_result(code & 0xFF), f"{name}, {original.sqlite_errorname}")
    return DatabaseFault(_of_driver(error), name)


def _of_state(state: str) -> Kind:
    if state.startswith(_AWAY_STATES):
        return Kind.AWAY
    return Kind.ROW if state.startswith(_ROW_STATES) else Kind.DECLARATION


def _of_number(number: int) -> Kind:
    if number in _AWAY_NUMBERS:
        return Kind.AWAY
    return Kind.ROW if number in _ROW_NUMBERS else Kind.DECLARATION


def _of_result(code: int) -> Kind:
    if code in _AWAY_RESULTS:
        return Kind.AWAY
    return Kind.ROW if code in _ROW_RESULTS else Kind.DECLARATION


def _of_driver(error: SQLAlchemyError) -> Kind:
    """The driver alone speaks: it could not connect, or it could not send or take a value."""
    if isinstance(error, OperationalError | InterfaceError):
        return Kind.AWAY
    return Kind.ROW if isinstance(error, DataError | IntegrityError) else Kind.DECLARATION


def _without_original(error: SQLAlchemyError) -> Kind:
    """SQLAlchemy alone speaks: a parameter that it cannot send, or no connection in time."""
    if type(error) is StatementError:
        return Kind.ROW
    return Kind.AWAY if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__ else Kind.DECLARATION


def _named(original: BaseException) -> str:
    """What PostgreSQL names beside: column and constraint. Names of the table, never values."""
    found = getattr(original, "diag", None)
    names = {what: getattr(found, f"{what}_name", None) for what in ("table", "column", "constraint")}
    return "".join(f", {what} {name}" for what, name in names.items() if name)

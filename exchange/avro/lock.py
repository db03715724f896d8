"""The schemas of the exchange and their ids: `<folder>/<registry>/<type>.avsc`, `ledger/event.avsc` and `ids.lock`.

The lock file holds every version that ever had an id, with the schema itself, so that no process needs a registry
server and old records stay readable. It only grows.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from exchange.avro.attributes import unknown_attributes
from exchange.avro.compatibility import appended
from exchange.avro.record_schema import RecordSchema, record_schema
from exchange.avro.schema import load, parse
from exchange.errors import ExchangeError
from exchange.names import FIRST_LEDGER_SCHEMA_ID, REGISTRIES, RecordType, SchemaId

LOCK_FILE = "ids.lock"
LEDGER_SUBJECT = "ledger.event"
"""The subject of ledger events. All other subjects are record types."""
_FORM = 1
_NOT_LOCKED = "run `exchange schemas lock`"


@dataclass(frozen=True, slots=True)
class LockedSchema:
    """One version of a subject. `record` holds the rules of a record type, None for the ledger's events."""

    id: SchemaId
    subject: str
    version: int
    schema: dict[str, Any]
    record: RecordSchema | None

    @property
    def sha256(self) -> str:
        """The fingerprint of the schema."""
        return fingerprint(self.schema)


def fingerprint(schema: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON (RFC 8785) of a schema, with all its attributes."""
    return hashlib.sha256(rfc8785.dumps(schema)).hexdigest()


class SchemaRepository:
    """All locked schemas, by id and by subject."""

    def __init__(self, locked: list[LockedSchema]) -> None:
        self._by_id = {one.id: one for one in locked}
        self._by_subject: dict[str, list[LockedSchema]] = {}
        for one in sorted(locked, key=lambda one: one.version):
            self._by_subject.setdefault(one.subject, []).append(one)

    @classmethod
    def load(cls, folder: Path) -> "SchemaRepository":
        """The repository of `folder`. Raises ExchangeError(E_SCHEMA) for a damaged lock or an unlocked file."""
        repository = cls(_read_lock(folder))
        for subject, schema in read_files(folder).items():
            versions = repository.versions(subject)
            if not versions or versions[-1].schema != schema:
                raise ExchangeError("E_SCHEMA", f"{subject} is not locked as it stands: {_NOT_LOCKED}")
        return repository

    def by_id(self, schema_id: int) -> LockedSchema | None:
        """The schema with this id, if the lock has one."""
        return self._by_id.get(SchemaId(schema_id))

    def latest(self, subject: str) -> LockedSchema:
        """The newest version of a subject. Raises ExchangeError(E_SCHEMA) for an unknown subject."""
        versions = self._by_subject.get(subject)
        if not versions:
            raise ExchangeError("E_SCHEMA", f"there is no schema {subject}")
        return versions[-1]

    def versions(self, subject: str) -> list[LockedSchema]:
        """All versions of a subject, oldest first; empty for an unknown subject."""
        return list(self._by_subject.get(subject, ()))

    def subjects(self) -> list[str]:
        """All subjects, sorted."""
        return sorted(self._by_subject)

    def record_types(self) -> list[RecordType]:
        """All record types, sorted."""
        return [RecordType(subject) for subject in self.subjects() if subject != LEDGER_SUBJECT]


def strays(folder: Path) -> list[str]:
    """Schemas in `folder` that belong to no registry, a sentence each: nothing would ever read them."""
    places = {folder / registry for registry in (*REGISTRIES, "ledger")}
    return [
        f"{path.relative_to(folder)}: it lies in the folder of no registry; known are {', '.join(REGISTRIES)}"
        for path in sorted(folder.rglob("*.avsc"))
        if path.parent not in places
    ]


def read_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The schemas that stand in `folder` now, by subject. Raises ExchangeError(E_SCHEMA) for a file that is no JSON."""
    found: dict[str, dict[str, Any]] = {}
    for registry in (*REGISTRIES, "ledger"):
        for path in sorted((folder / registry).glob("*.avsc")):
            schema = load(path)
            if not isinstance(schema, dict):
                raise ExchangeError("E_SCHEMA", f"{registry}/{path.name} is no record")
            found[f"{registry}.{path.stem}"] = schema
    return found


def _read_lock(folder: Path) -> list[LockedSchema]:
    path = folder / LOCK_FILE
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = [
            (int(one["id"]), str(one["subject"]), int(one["version"]), str(one["sha256"]), dict(one["schema"]))
            for one in content["schemas"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExchangeError("E_SCHEMA", f"{LOCK_FILE} cannot be read ({type(error).__name__})") from None
    ids = [entry[0] for entry in entries]
    if len(set(ids)) != len(ids) or any(not 0 < one < FIRST_LEDGER_SCHEMA_ID for one in ids):
        raise ExchangeError("E_SCHEMA", f"{LOCK_FILE}: ids are distinct and below {FIRST_LEDGER_SCHEMA_ID}")
    return [_locked(*entry) for entry in entries]


def _locked(number: int, subject: str, version: int, sha256: str, schema: dict[str, Any]) -> LockedSchema:
    if fingerprint(schema) != sha256:
        raise ExchangeError("E_SCHEMA", f"{LOCK_FILE}: {subject} version {version} was changed after it was locked")
    return LockedSchema(SchemaId(number), subject, version, schema, _rules(subject, schema))


def _rules(subject: str, schema: dict[str, Any]) -> RecordSchema | None:
    if subject == LEDGER_SUBJECT:
        parse(schema)
        return None
    record = record_schema(schema)
    if record.record_type != subject:
        raise ExchangeError("E_SCHEMA", f"{subject} says it is {record.record_type}")
    return record


def check(folder: Path) -> list[str]:
    """What is wrong with the schemas of `folder`, a sentence each: lint, strays, append-only rule, missing locks.

    Raises ExchangeError(E_SCHEMA) when the lock itself is damaged.
    """
    found, changed, fresh = _compare(folder, SchemaRepository(_read_lock(folder)))
    return [*found, *changed] + [f"{subject} has changed and is not locked: {_NOT_LOCKED}" for subject in fresh]


def _compare(folder: Path, locked: SchemaRepository) -> tuple[list[str], list[str], dict[str, dict[str, Any]]]:
    """(what is invalid, what breaks the append-only rule, schemas that need a new id)."""
    found = strays(folder)
    changed: list[str] = []
    fresh: dict[str, dict[str, Any]] = {}
    files = read_files(folder)
    for subject, schema in files.items():
        try:
            _rules(subject, schema)
        except ExchangeError as error:
            found.append(f"{subject}: {error.detail}")
            continue
        if subject != LEDGER_SUBJECT:
            found += [f"{subject}: {fault}" for fault in unknown_attributes(schema)]
        versions = locked.versions(subject)
        if versions and versions[-1].schema == schema:
            continue
        fresh[subject] = schema
        if versions:
            changed += [
                f"{subject}{one.path}: {one.kind} (now {one.reader}, version {versions[-1].version} {one.writer})"
                for one in appended(schema, versions[-1].schema)
            ]
    found += [f"{subject}: its file is gone, but it is locked" for subject in locked.subjects() if subject not in files]
    return found, changed, fresh


def lock(folder: Path) -> list[LockedSchema]:
    """Give every new or changed schema of `folder` an id and write `ids.lock`; what is new, oldest first.

    Raises ExchangeError E_SCHEMA for an invalid schema, E_SCHEMA_INCOMPATIBLE for a change that does more than append.
    """
    entries = _read_lock(folder)
    locked = SchemaRepository(entries)
    found, changed, fresh = _compare(folder, locked)
    if found:
        raise ExchangeError("E_SCHEMA", "; ".join(found))
    if changed:
        raise ExchangeError("E_SCHEMA_INCOMPATIBLE", "; ".join(changed))
    following = max((one.id for one in entries), default=0) + 1
    added = [
        LockedSchema(
            SchemaId(following + number), subject, len(locked.versions(subject)) + 1, schema, _rules(subject, schema)
        )
        for number, (subject, schema) in enumerate(fresh.items())
    ]
    if added:
        _write_lock(folder, entries + added)
    return added


def _write_lock(folder: Path, entries: list[LockedSchema]) -> None:
    content = {
        "form": _FORM,
        "schemas": [
            {
                "id": one.id,
                "subject": one.subject,
                "version": one.version,
                "sha256": one.sha256,
                "schema": one.schema,
            }
            for one in entries
        ],
    }
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    path = folder / LOCK_FILE
    temporary = path.with_suffix(".lock.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)

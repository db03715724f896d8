"""Subjects and versions as clients of a Confluent Schema Registry know them: out of the lock file and the ledger.

Subjects: every record type; and for clients that name subjects after topics, `<topic>-value` of inboxes, registries and
shares. Ids below 100,000 come from the lock file, the others are shares' own schemas and come from the ledger: of these
a caller finds those of grants that it holds or has given; any other is as if there were none.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from exchange import names
from exchange.avro.normal import normal
from exchange.ledger.state.ledger_state import LedgerState, ShareEntry
from exchange.names import RecordType, SchemaId
from exchange.web.access import Caller
from exchange.web.problems import RegistryError
from exchange.web.service import Service

_VALUE = "-value"
_LATEST = ("latest", "-1")
_MOST_DIGITS = 10
_DEFAULT_CONTEXT = ":.:"
_ALL_CONTEXTS = ":*:"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a subject."""

    subject: str
    version: int
    id: SchemaId
    schema: dict[str, Any]

    def shown(self) -> dict[str, Any]:
        """As clients know it. No `schemaType`: left out, it is AVRO."""
        return {"subject": self.subject, "version": self.version, "id": self.id, "schema": text(self.schema)}


class Subjects:
    """Finds versions in the lock file and in the ledger, for one caller."""

    def __init__(self, service: Service, caller: Caller) -> None:
        self._service = service
        self._caller = caller

    def all(self, prefix: str = "") -> list[str]:
        """Every subject that begins with `prefix`, sorted."""
        wanted = prefix.removeprefix(_ALL_CONTEXTS).removeprefix(_DEFAULT_CONTEXT)
        found = {*self._service.schemas.record_types(), *self._service.ledger.read(self._topic_subjects)}
        return sorted(one for one in found if one.startswith(wanted))

    def versions(self, subject: str) -> list[Version]:
        """All versions of a subject, oldest first. Raises RegistryError(40401) for an unknown one."""
        name = subject.removeprefix(_DEFAULT_CONTEXT)
        found = list(self._locked(name)) or self._service.ledger.read(lambda state: self._of_share(state, name))
        if not found:
            raise RegistryError("E_NOT_FOUND", 40401, f"Subject '{name[:100]}' not found.")
        return found

    def every(self, prefix: str) -> Iterator[list[Version]]:
        """The versions of every subject that begins with `prefix`, oldest first."""
        shares = {one.subject: [one] for one in map(_version, self._service.ledger.read(self._shares))}
        for subject in self.all(prefix):
            found = list(self._locked(subject)) or shares.get(subject, [])
            if found:
                yield found

    def version(self, subject: str, version: str) -> Version:
        """One version. Raises RegistryError: 40401, 40402 (unknown version), 42202 (no version at all)."""
        found = self.versions(subject)
        if version in _LATEST:
            return found[-1]
        if not (version.isascii() and version.isdigit() and len(version) <= _MOST_DIGITS and int(version) > 0):
            raise RegistryError("E_REQUEST", 42202, "The specified version is not a valid version id.")
        for one in found:
            if one.version == int(version):
                return one
        raise RegistryError("E_NOT_FOUND", 40402, f"Version {version} not found.")

    def by_id(self, schema_id: int) -> list[Version]:
        """Every (subject, version) of an id. Raises RegistryError(40403) when there is none."""
        locked = self._service.schemas.by_id(schema_id)
        if locked is not None and locked.record is not None:
            topics = self._service.ledger.read(self._topic_subjects)
            named = (locked.subject, *(topic for topic in topics if _record_type(topic) == locked.subject))
            return [Version(subject, locked.version, locked.id, locked.schema) for subject in dict.fromkeys(named)]
        found = self._service.ledger.read(lambda state: self._of_id(state, schema_id))
        if not found:
            raise RegistryError("E_NOT_FOUND", 40403, "Schema not found")
        return found

    def holding(self, subject: str, schema: Any) -> Version:
        """The version of a subject with this schema, however it is written. Raises RegistryError: 40401, 40403."""
        wanted = normal(schema)
        for one in reversed(self.versions(subject)):
            if normal(one.schema) == wanted:
                return one
        raise RegistryError("E_NOT_FOUND", 40403, "Schema not found")

    def _shares(self, state: LedgerState) -> list[ShareEntry]:
        """The shares that are the caller's business. What others have takes the same time and gives nothing."""
        if self._caller.sees_all:
            return list(state.shares.values())
        concerned = cache(partial(self._caller.concerned, state))
        mine = {
            share
            for grant in state.grants.values()
            if concerned(state.demands[grant.demand].demander) or concerned(grant.terms.provider)
            for share in (grant.share, *grant.shares)
        }
        return [share for name, share in state.shares.items() if name in mine]

    def _topic_subjects(self, state: LedgerState) -> list[str]:
        inboxes = [names.inbox_topic(one.record_type, one.provider) for one in state.resources.values()]
        registries = [names.registry_topic(RecordType(one.record_type)) for one in state.resources.values()]
        shares = [names.share_topic(one.share) for one in self._shares(state)]
        return [topic + _VALUE for topic in (*inboxes, *registries, *shares)]

    def _of_share(self, state: LedgerState, subject: str) -> list[Version]:
        return [one for share in self._shares(state) if (one := _version(share)).subject == subject]

    def _of_id(self, state: LedgerState, schema_id: int) -> list[Version]:
        return [_version(share) for share in self._shares(state) if share.schema_id == schema_id]

    def _locked(self, subject: str) -> Iterator[Version]:
        record_type = _record_type(subject)
        if record_type not in self._service.schemas.record_types():
            return
        for one in self._service.schemas.versions(record_type):
            yield Version(subject, one.version, one.id, one.schema)


def text(schema: dict[str, Any]) -> str:
    """A schema as the JSON text in which clients expect it."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def _record_type(subject: str) -> str:
    """The record type of a subject that is one, or that is named after an inbox or a registry."""
    topic = subject.removesuffix(_VALUE)
    if topic == subject:
        return subject
    if topic.startswith("registry."):
        return topic.removeprefix("registry.")
    try:
        return names.split_inbox(topic)[0]
    except ValueError:
        return ""


def _version(share: ShareEntry) -> Version:
    return Version(names.share_topic(share.share) + _VALUE, 1, share.schema_id, share.schema)

"""The halves of a reconciliation as a command and a daily run begin them: from a grant as the API shows it.

`grantee_half` and `provider_half` compare; `tell` gives the counts to the exchange. `reconcile_all` does a connector's
part for every grant that it serves, which is what a long-running source or sink does once a day.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.clock import Deadline
from exchange.connect.declare import Sink, Source
from exchange.connect.find import Connector, of_department
from exchange.connect.tables import Table, database
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import Department, GrantId, SchemaId, TopicName, receipt_topic, report_topic
from exchange.reconcile.cut import GrantTerms
from exchange.reconcile.keys import KeyColumns
from exchange.reconcile.result import Finding, Half, encode
from exchange.reconcile.share import ShareForm
from exchange.reconcile.sink import Pace, SinkSide, reconcile_sink
from exchange.reconcile.source import Api, SourceSide, reconcile_source
from exchange.reconcile.table import SinkTable
from exchange.settings import Settings

_FLUSH_SECONDS = 15.0
Named = tuple[str, Source]
"""A source with the name of its connector."""
GrantView = Mapping[str, Any]
"""A grant as `/v1/grants/{id}` shows it."""


def sink_of(department: Department, grant: GrantView, name: str | None = None) -> Connector:
    """The sink of a department that serves a grant, or the one called `name`.

    Raises ExchangeError(E_CONNECTOR) when there is none, or several.
    """
    fitting = [one for one in of_department(department) if _serves(one, grant) and name in (None, one.name)]
    if len(fitting) != 1:
        among = f": {', '.join(one.name for one in fitting)}; name one with --connector" if fitting else ""
        raise ExchangeError("E_CONNECTOR", f"{len(fitting)} sinks of {department} serve this grant{among}")
    return fitting[0]


def sources_of(settings: Settings, department: Department, grant: GrantView, names: Sequence[str] = ()) -> list[Named]:
    """The sources of a department for the record type of a grant, or those called `names`.

    One whose address is not set is not run with these settings: a department may have the same rows in a table or in a
    file. Raises ExchangeError: E_CONNECTOR when there is none, E_SETTINGS when none has its address.
    """
    record_type = grant["record_type"]
    every = [
        (one.name, one.declaration)
        for one in of_department(department)
        if isinstance(one.declaration, Source) and one.declaration.record_type == record_type
    ]
    missing = {name: _unset(source, settings) for name, source in every}
    found = [(name, source) for name, source in every if (name in names if names else missing[name] is None)]
    if not found or set(names) - {name for name, _ in found}:
        why = next((error for error in missing.values() if error is not None and not names), None)
        raise why or ExchangeError("E_CONNECTOR", f"{department} has no such source of {record_type}")
    return found


def _unset(source: Source, settings: Settings) -> ExchangeError | None:
    """What is wrong with the address that a source reads from; None for one that can be tried."""
    try:
        source.reads.reader(settings.connector).close()
    except ExchangeError as error:
        if error.code != "E_SETTINGS":
            raise
        return error
    return None


def grantee_half(settings: Settings, api: Api, grant: GrantView, sink: Sink, pace: Pace) -> Finding:
    """Hold the table of a sink against the share of its grant, as the grantee.

    Raises ExchangeError: E_CONNECTOR for a sink without a table, E_GRANT_STATE, and what `reconcile_sink` does.
    """
    side = _sink_side(settings, api, grant, sink)
    return reconcile_sink(Connection.of(settings.kafka), side, pace)


def table_of(settings: Settings, api: Api, grant: GrantView, sink: Sink) -> SinkTable:
    """The table of a sink, to be closed by the caller. Raises ExchangeError as `grantee_half` does."""
    side = _sink_side(settings, api, grant, sink)
    fields = [field["name"] for field in side.share.schema["fields"]]
    return SinkTable(side.address, side.table, side.key, fields, side.columns)


def _sink_side(settings: Settings, api: Api, grant: GrantView, sink: Sink) -> SinkSide:
    if not isinstance(sink.into, Table):
        raise ExchangeError("E_CONNECTOR", "this sink writes files: `exchange files verify` checks them")
    if getattr(sink, "map", None) is not None:
        raise ExchangeError("E_CONNECTOR", "this sink makes rows by a function: they are not what the share holds")
    connection = Connection.of(settings.kafka)
    schema = _schema(api, grant)
    partitions = Admin(connection).topics().get(grant["topic"])
    if partitions is None:
        raise ExchangeError("E_KAFKA_FORBIDDEN", f"{grant['topic']} is not to be seen: the grant may just have ended")
    terms = GrantTerms.of(grant)
    natural_key = _record(settings, grant).natural_key
    held = {"demander": grant["demander"], "active": True}
    return SinkSide(
        GrantId(grant["grant"]),
        ShareForm(TopicName(grant["topic"]), partitions, SchemaId(grant["schema_id"]), schema),
        KeyColumns.of(schema, natural_key, terms.pseudonymous),
        sink.into.name,
        database(settings.connector),
        dict(getattr(sink, "columns", {})),
        [one["grant"] for one in items(api, "/v1/grants", **held)],
    )


def provider_half(settings: Settings, api: Api, grant: GrantView, sources: Sequence[Named], pace: Pace) -> Finding:
    """Hold what the sources of a provider read against the share of a grant, as the provider.

    Raises ExchangeError: E_GRANT_STATE, and what `reconcile_source` does.
    """
    side = SourceSide(
        GrantId(grant["grant"]),
        _record(settings, grant),
        _schema(api, grant),
        GrantTerms.of(grant),
        sources,
        settings.connector,
    )
    return reconcile_source(api, side, pace)


def tell(settings: Settings, findings: Iterable[Finding]) -> None:
    """Give the counts to the exchange, in the department's own topics. Raises ExchangeError(E_KAFKA_*)."""
    with closing(IdempotentProducer(Connection.of(settings.kafka))) as producer:
        for finding in findings:
            grantee = finding.result.half is Half.GRANTEE
            own = report_topic(Department(settings.kafka.username))
            topic = receipt_topic(finding.grant) if grantee else own
            producer.send(topic, *encode(finding.grant, finding.result))
        producer.flush(Deadline.after(_FLUSH_SECONDS))


def reconcile_all(connector: Connector, settings: Settings, api: Api, pace: Pace) -> list[Finding]:
    """What a connector does once a day: compare its part of every active grant that it serves, and tell the results.

    Grants with one share are one comparison. Raises ExchangeError as the halves and `tell` do.
    """
    declared = connector.declaration
    side = "demander" if isinstance(declared, Sink) else "provider"
    asked = {side: connector.department, "record_type": declared.record_type, "active": True}
    grants = [one for one in items(api, "/v1/grants", **asked) if one["share"] is not None]
    findings = list(_daily(connector, settings, api, grants, pace))
    tell(settings, findings)
    return findings


def items(api: Api, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Every item of a list of the API, page by page."""
    cursor: str | None = None
    while True:
        page = api.get(path, **params, cursor=cursor)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def _daily(
    connector: Connector, settings: Settings, api: Api, grants: Sequence[GrantView], pace: Pace
) -> Iterator[Finding]:
    declared = connector.declaration
    if isinstance(declared, Sink):
        for grant in grants:
            if _serves(connector, grant):
                yield grantee_half(settings, api, grant, declared, pace)
        return
    by_share: dict[str, Finding] = {}
    for grant in grants:
        found = by_share.get(grant["share"])
        if found is None:
            sources = sources_of(settings, connector.department, grant)
            found = by_share[grant["share"]] = provider_half(settings, api, grant, sources, pace)
        yield Finding(GrantId(grant["grant"]), found.result, found.differences, found.compared_with, found.notes)


def _serves(connector: Connector, grant: GrantView) -> bool:
    declared = connector.declaration
    return (
        isinstance(declared, Sink)
        and declared.record_type == grant["record_type"]
        and declared.provider in (None, grant["provider"])
    )


def _schema(api: Api, grant: GrantView) -> dict[str, Any]:
    """The schema of the share. Raises ExchangeError(E_GRANT_STATE) for a grant that is not active."""
    if not grant["active"] or grant["schema_id"] is None:
        raise ExchangeError("E_GRANT_STATE", "only an active grant is compared")
    schema: dict[str, Any] = json.loads(api.get(f"/schemas/ids/{grant['schema_id']}")["schema"])
    return schema


def _record(settings: Settings, grant: GrantView) -> RecordSchema:
    record = SchemaRepository.load(settings.schemas).latest(grant["record_type"]).record
    if record is None:
        raise ExchangeError("E_SCHEMA", f"{grant['record_type']} is no record type")
    return record

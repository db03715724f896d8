"""Writing the three files of a delivery that hold records and keys."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from exchange.avro.container import ContainerWriter
from exchange.handover.files.csv_text import MEDIA_TYPE, CsvWriter
from exchange.handover.files.folder import AVRO, CSV, WITHDRAWN, DropFolder, Stream, name_of
from exchange.handover.files.manifest import FileEntry
from exchange.handover.layout import RECORD_KEY, Change, Layout

AVRO_MEDIA_TYPE = "application/vnd.apache.avro"

Changes = Callable[[], Iterable[Change]]
"""The changes of a delivery, of each record the last one; asked several times, so that they need not be in memory."""


def write_files(folder: DropFolder, number: int, layout: Layout, changes: Changes) -> list[FileEntry]:
    """Write the files of delivery `number`. Raises ExchangeError(E_FILES_UNREACHABLE)."""
    return [
        _write_csv(folder, name_of(number, CSV), file_columns(layout), lambda: _rows(layout, changes)),
        _write_avro(folder, name_of(number, AVRO), layout, changes),
        _write_csv(folder, name_of(number, WITHDRAWN), list(layout.key), lambda: _gone(layout, changes)),
    ]


def file_columns(layout: Layout) -> list[str]:
    """The columns of the CSV file: the pseudonym, if that is the key, and the fields of the share."""
    pseudonym = [RECORD_KEY] if layout.key == (RECORD_KEY,) else []
    return [*pseudonym, *(one["name"] for one in layout.schema["fields"])]


def container_schema(layout: Layout) -> dict[str, Any]:
    """The schema of the Avro file: the share's; behind a pseudonymous key, with that as its first field."""
    if layout.key != (RECORD_KEY,):
        return dict(layout.schema)
    key = {"name": RECORD_KEY, "type": "string", "doc": "The record's key in the share: a pseudonym"}
    return {**layout.schema, "fields": [key, *layout.schema["fields"]]}


def _rows(layout: Layout, changes: Changes) -> Iterable[Mapping[str, Any]]:
    for change in changes():
        if change.record is not None:
            yield {**change.record, **layout.key_values(change.key)}


def _gone(layout: Layout, changes: Changes) -> Iterable[Mapping[str, Any]]:
    for change in changes():
        if change.record is None:
            yield layout.key_values(change.key)


def _write_csv(
    folder: DropFolder, name: str, columns: list[str], rows: Callable[[], Iterable[Mapping[str, Any]]]
) -> FileEntry:
    count = escaped = 0

    def fill(stream: Stream) -> None:
        nonlocal count, escaped
        writer = CsvWriter(stream, columns)
        for row in rows():
            writer.write(row)
            count += 1
        escaped = writer.escaped

    written = folder.write(name, fill)
    return FileEntry(
        name=name, media_type=MEDIA_TYPE, records=count, bytes=written.bytes, sha256=written.sha256, escaped=escaped
    )


def _write_avro(folder: DropFolder, name: str, layout: Layout, changes: Changes) -> FileEntry:
    count = 0

    def fill(stream: Stream) -> None:
        nonlocal count
        writer = ContainerWriter(stream, container_schema(layout))
        for row in _rows(layout, changes):
            writer.write(row)
            count += 1
        writer.finish()

    written = folder.write(name, fill)
    return FileEntry(name=name, media_type=AVRO_MEDIA_TYPE, records=count, bytes=written.bytes, sha256=written.sha256)

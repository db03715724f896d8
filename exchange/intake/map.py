"""Step two: make a record of a row, with its identifiers in their clean form."""

from exchange.avro.record_schema import RecordSchema
from exchange.connect.declare import Record, Source, Unmapped
from exchange.connect.reading import SourceRow
from exchange.errors import ExchangeError
from exchange.identifiers import IDENTIFIERS


class RowMapper:
    """Maps rows of one source. Whether a value is right, admission judges; here it only has to fit."""

    def __init__(self, source: Source, schema: RecordSchema) -> None:
        self._map = source.map
        self._known = frozenset(field.name for field in schema.fields)
        self._identifiers = [
            (field.name, IDENTIFIERS[field.identifier].compact) for field in schema.fields if field.identifier
        ]

    def map(self, row: SourceRow) -> Record:
        """The record of a row. Raises ExchangeError(E_ROW_UNMAPPED) that names the field, never a value."""
        record = self._call(row)
        unknown = record.keys() - self._known
        if unknown:
            raise ExchangeError("E_ROW_UNMAPPED", f"the record type has no field {', '.join(sorted(unknown))}")
        for name, compact in self._identifiers:
            value = record.get(name)
            if isinstance(value, str):
                record[name] = compact(value)
        return record

    def _call(self, row: SourceRow) -> Record:
        try:
            return dict(self._map(row.values))
        except Unmapped as fault:
            raise ExchangeError("E_ROW_UNMAPPED", f"{fault.field}: {fault.reason}") from None
        except ExchangeError as error:
            raise ExchangeError("E_ROW_UNMAPPED", error.code) from None
        except Exception as error:
            raise ExchangeError("E_ROW_UNMAPPED", f"the mapping function raised {type(error).__name__}") from None

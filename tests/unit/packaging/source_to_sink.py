"""A shipped source and a shipped sink, without Kafka between them: a row of a CSV file becomes a row of a table.

Prints the environment that the product was imported from, the records made, and the rows of the table.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine, text

import exchange
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.connect.find import find
from exchange.handover.layout import Change, Layout
from exchange.handover.table.target import Batch, SqlTarget
from exchange.intake.encode import Encoder
from exchange.intake.map import RowMapper
from exchange.names import GrantId
from exchange.record import FRAME_BYTES
from exchange.settings import load

HEADER = "企业名称,统一社会信用代码,注册日期,企业类型,法人代表,注册资金,经营范围,所在省份,地区,注册地址"
ROW = "某某公司,91349900MA00000019,2020-01-02,N/A,N/A,500(万元),建材,安徽,合肥,某路一号"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

Path("companies.csv").write_text(f"{HEADER}\n{ROW}\n", encoding="utf-8")
os.environ["EXCHANGE_CONNECTOR__PATH"] = "companies.csv"
settings = load()

source = find("market-regulation.registrations-file").declaration
locked = SchemaRepository.load(settings.schemas).latest(source.record_type)
mapper, encoder = RowMapper(source, locked.record), Encoder(locked)
pages = source.reads.reader(settings.connector).whole(10)
sent = [encoder.encode(mapper.map(row), row) for page in pages for row in page.rows]

sink = find("taxation.companies").declaration
address = "sqlite:///taxation.sqlite"
target = SqlTarget(sink.into.name, address, Layout.of(locked.schema, locked.record.natural_key, pseudonymous=False))
target.prepare(GrantId("g-1"))
codec = Codec(locked.schema)
changes = [Change(offset, one.key, codec.decode(one.value[FRAME_BYTES:])) for offset, one in enumerate(sent)]
target.apply(Batch(GrantId("g-1"), 0, changes, len(changes), LONG_AGO), lambda refused: sys.exit(f"refused: {refused}"))
target.close()
with create_engine(address).connect() as connection:
    rows = connection.execute(text("SELECT count(*) FROM companies")).scalar_one()
print(Path(exchange.__file__).parents[4], len(sent), rows)

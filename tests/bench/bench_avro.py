"""How fast the generated Avro functions are, beside fastavro in the same run. Records of 17 fields, real rows or made.

Run: `python -m tests.bench.bench_avro [CSV.gz]`. CPU time of one thread, best of the rounds, µs a record. Bounds are
ratios to fastavro, which a busy machine changes little.
"""

import csv
import datetime
import gzip
import io
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import fastavro
import pytest

from exchange.avro import Codec, Slicer
from exchange.avro.compiled.checker import compile_check

OPTIONAL = ["null", "string"]
DATE = {"type": "int", "logicalType": "date"}
AMOUNT = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}
CAPITAL = {
    "type": "record",
    "name": "Capital",
    "fields": [{"name": "amount", "type": AMOUNT}, {"name": "currency", "type": "string"}],
}
TYPES: dict[str, Any] = {
    "credit_code": "string",
    "name": "string",
    "entity_type": OPTIONAL,
    "established": DATE,
    "legal_representative": OPTIONAL,
    "capital": ["null", CAPITAL],
    "business_scope": OPTIONAL,
    "region": "string",
    "address": OPTIONAL,
    "status": {"type": "enum", "name": "Status", "symbols": ["ACTIVE", "REVOKED", "CANCELLED", "MOVED_OUT"]},
    "registration_authority": "string",
    "authority_code": "string",
    "approved": ["null", DATE],
    "revoked": ["null", DATE],
    "old_number": OPTIONAL,
    "version": "long",
    "updated_at": {"type": "long", "logicalType": "timestamp-millis"},
}
SCHEMA = {"type": "record", "name": "LegalEntity", "fields": [{"name": n, "type": t} for n, t in TYPES.items()]}
KEPT = ["credit_code", "name", "established", "region", "status", "approved", "version", "updated_at"]
PROBES = ["credit_code", "region", "established"]
READER = {**SCHEMA, "fields": [item for item in SCHEMA["fields"] if item["name"] in KEPT]}
BOUNDS = {"encode": 0.42, "decode": 0.85, "check with 3 probes": 0.42, "slice of 8 fields": 0.14}
"""The most that each may take, as a part of fastavro's time for the same job."""


def made() -> Iterator[dict[str, Any]]:
    """Records of the usual size when no register is at hand."""
    for number in range(2_000):
        yield {
            "name": f"安徽省第{number}号农业科技发展有限责任公司",
            "entity_type": "有限责任公司(自然人投资或控股)",
            "established": datetime.date(1990 + number % 30, 1 + number % 12, 1 + number % 28),
            "legal_representative": "张某",
            "capital": {"amount": Decimal(number * 10_000).scaleb(0), "currency": "CNY"},
            "business_scope": "农作物种植、销售；农业机械租赁；农业技术咨询服务。" * (1 + number % 3),
            "address": f"安徽省安庆市某县某镇某村{number}号",
        }


def register(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of the public register of legal entities."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                amount = Decimal(row["注册资金"].split("万")[0].strip()).quantize(Decimal("0.01")) * 10_000
            except InvalidOperation:
                amount = None
            yield {
                "name": row["企业名称"],
                "entity_type": row["企业类型"],
                "established": datetime.date.fromisoformat(row["注册日期"]),
                "legal_representative": row["法人代表"],
                "capital": None if amount is None else {"amount": amount, "currency": "CNY"},
                "business_scope": row["经营范围"] or None,
                "address": row["注册地址"],
            }


def records(source: Iterator[dict[str, Any]], size: int = 2_000) -> list[dict[str, Any]]:
    """Whole records from what a source gives."""
    return [
        {
            "credit_code": f"91340800{number:010d}",
            "region": "340800",
            "status": "ACTIVE",
            "registration_authority": "安徽省市场监督管理局",
            "authority_code": "11340000MB1990000X",
            "approved": row["established"],
            "revoked": None,
            "old_number": None,
            "version": 1,
            "updated_at": datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC),
            **row,
        }
        for number, row in zip(range(size), source, strict=False)
    ]


def micros(function: Callable[[Any], Any], values: list[Any], rounds: int = 7) -> float:
    """CPU time a value, best of the rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for value in values:
            function(value)
        best = min(best, time.process_time() - start)
    return best / len(values) * 1e6


def measure(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """(ours, fastavro's) µs a record for each job."""
    writer, reader = fastavro.parse_schema(SCHEMA), fastavro.parse_schema(READER)
    codec, slicer, check = Codec(SCHEMA), Slicer(SCHEMA, READER), compile_check(SCHEMA, PROBES)

    def write(record: dict[str, Any], schema: Any = writer) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, record)
        return out.getvalue()

    def read(data: bytes) -> Any:
        return fastavro.schemaless_reader(io.BytesIO(data), writer, None)

    def resolve(data: bytes) -> bytes:
        return write(fastavro.schemaless_reader(io.BytesIO(data), writer, reader), reader)

    encoded = [codec.encode(row) for row in rows]
    assert [write(row) for row in rows] == encoded
    assert [resolve(data) for data in encoded] == [slicer.slice(data) for data in encoded]
    reading = micros(read, encoded)
    return {
        "encode": (micros(codec.encode, rows), micros(write, rows)),
        "decode": (micros(codec.decode, encoded), reading),
        "check with 3 probes": (micros(lambda data: check(data, 0), encoded), reading),
        "slice of 8 fields": (micros(slicer.slice, encoded), micros(resolve, encoded)),
    }


@pytest.mark.bench
def test_generated_code_keeps_its_distance_to_fastavro() -> None:
    for job, (ours, theirs) in measure(records(made())).items():
        assert ours / theirs < BOUNDS[job], job


if __name__ == "__main__":
    rows = records(register(Path(sys.argv[1])) if len(sys.argv) > 1 else made())
    for job, (ours, theirs) in measure(rows).items():
        print(f"{job:22} {ours:6.2f} µs   fastavro {theirs:6.2f} µs   {ours / theirs:.2f}")

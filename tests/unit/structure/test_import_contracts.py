"""Every contract on imports fails when it is broken: a contract that cannot fail guards nothing."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
WRONG = {
    "Arrows go down only": ("exchange/names.py", "exchange.broker.seams"),
    "Inside broker: the service on top, commands on demands at the bottom": (
        "exchange/broker/demands/need.py",
        "exchange.broker.rate.periods",
    ),
    "Inside ledger: the store over the fold, the fold over state and events": (
        "exchange/ledger/state/token.py",
        "exchange.ledger.events.event",
    ),
    "Inside kafka: lines and administration over the client": (
        "exchange/kafka/client/message.py",
        "exchange.kafka.admin.topics",
    ),
    "The product never imports connectors or tests": ("exchange/cli/errors.py", "connectors.market_regulation.cities"),
    "Embedded servers, demo and test kit stand aside: only cli and demo use them": (
        "exchange/broker/heads.py",
        "exchange.demo.story",
    ),
    "confluent_kafka lives in exchange.kafka": ("exchange/intake/schedule.py", "confluent_kafka"),
    "fastavro lives in exchange.avro": ("exchange/intake/schedule.py", "fastavro"),
    "prometheus_client lives in exchange.observe": ("exchange/intake/schedule.py", "prometheus_client"),
    "sqlalchemy lives where tables are read, written and judged": (
        "exchange/intake/schedule.py",
        "sqlalchemy",
    ),
    "Delivery: the line over its steps over what a cut is made of": (
        "exchange/delivery/permit.py",
        "exchange.delivery.line",
    ),
    "Avro: generated functions over the rules of schemas": ("exchange/avro/schema.py", "exchange.avro.lock"),
    "Avro: the functions of a schema over lines of source": (
        "exchange/avro/compiled/values.py",
        "exchange.avro.compiled.encoder",
    ),
    "Connect: a declaration knows its reader, a reader no declaration": (
        "exchange/connect/reading.py",
        "exchange.connect.tables",
    ),
    "Connect: from bytes over lines to rows": (
        "exchange/connect/delimited/lines.py",
        "exchange.connect.delimited.quotes",
    ),
    "Intake: a line of steps": ("exchange/intake/map.py", "exchange.intake.submit"),
    "Intake's unchanged rows": (
        "exchange/intake/unchanged/digests.py",
        "exchange.intake.unchanged.mapping_version",
    ),
    "Intake's memory: all of it over its tables over the file": (
        "exchange/intake/memory/store.py",
        "exchange.intake.memory.known",
    ),
    "Handover: one line into a table, one into files, and the steps they share": (
        "exchange/handover/grants.py",
        "exchange.handover.patience",
    ),
    "Handover into a table": ("exchange/handover/table/upsert.py", "exchange.handover.table.target"),
    "Handover into a table: what a value may lose": (
        "exchange/handover/table/exact/kinds.py",
        "exchange.handover.table.exact.convert",
    ),
    "Handover into a table: how rows are put into each database": (
        "exchange/handover/table/put/copy_text.py",
        "exchange.handover.table.put.postgresql",
    ),
    "Handover into files": ("exchange/handover/files/folder.py", "exchange.handover.files.chain"),
    "Reconcile: the halves over both sides over what is equal": (
        "exchange/reconcile/canonical.py",
        "exchange.reconcile.share",
    ),
    "Line: it turns slots, a slot holds a unit that has fenced its predecessors": (
        "exchange/kafka/line/membership.py",
        "exchange.kafka.line.slot",
    ),
    "Inside web: pages and paths over what they share": ("exchange/web/paging.py", "exchange.web.access"),
    "Inside cli: groups of commands over how they print": ("exchange/cli/output.py", "exchange.cli.errors"),
    "Inside demo: the steps over the machinery, the story and the province": (
        "exchange/demo/places.py",
        "exchange.demo.platform",
    ),
}
"""For each contract a module, and what it must not import."""


def test_every_contract_fails_when_it_is_broken(tmp_path: Path) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert [contract["name"] for contract in settings["contracts"]] == list(WRONG)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("exchange", "connectors"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, imported in WRONG.values():
        with (tmp_path / file).open("a", encoding="utf-8") as module:
            module.write(f"\nimport {imported}\n")
    found = subprocess.run(
        ["lint-imports", "--no-cache"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    unbroken = [name for name in WRONG if not re.search(rf"^{re.escape(name)} BROKEN", found.stdout, re.MULTILINE)]
    assert unbroken == [], found.stdout + found.stderr

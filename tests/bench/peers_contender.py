"""The delivery worker as a contender among its peers: the plan file of the harness takes the ledger's place.

Everything else is the product: line, units, state, books, metrics. The harness and its contract lie in `bench/peers` of
the shared folder: `bench.py run --only ours,raw,sketch --contender "ours=python tests/bench/peers_contender.py"`.
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pydantic import SecretStr

from exchange import names
from exchange.cli.process.worker import run_worker
from exchange.clock import SystemClock
from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.line import LINE, DeliveryFactory, Parts
from exchange.delivery.line_metrics import LineMetrics
from exchange.delivery.writers import Writers
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.line.line import Line
from exchange.ledger.state.ledger_state import Condition, ShareEntry, Terms
from exchange.observe import logs
from exchange.settings import KafkaSettings, MetricsSettings

_PARTITIONS = 4
_PROVIDER = names.Department("market-regulation")


class Plan:
    """The grants of a plan file as shares of one provider."""

    def __init__(self, plan: dict[str, Any]) -> None:
        topic = plan["input"]["topic"]
        self.record_type = names.RecordType(topic.removeprefix("registry."))
        self.writers = Writers(False, {plan["input"]["schema_id"]: plan["input"]["schema"]})
        self._shares = {share.share: share for share in (self._share(grant) for grant in plan["grants"])}

    def _share(self, grant: dict[str, Any]) -> ShareEntry:
        where = grant["where"]
        scope = (Condition(where["field"], "equals", (where["equals"],)),) if where else ()
        name = names.ShareName(grant["topic"].removeprefix("share."))
        terms = Terms(self.record_type, _PROVIDER, tuple(grant["fields"]), (), scope)
        return ShareEntry(name, terms, grant["schema_id"], grant["schema"], 1, datetime.now(UTC))

    def poll(self) -> None:
        """A plan does not change."""

    def record_types(self) -> frozenset[names.RecordType]:
        """The one record type of the plan."""
        return frozenset([self.record_type])

    def shares(self, _record_type: names.RecordType) -> dict[names.ShareName, ShareEntry]:
        """Its shares."""
        return self._shares


def main() -> None:
    """Work as the environment of the harness says."""
    given = os.environ
    kafka = KafkaSettings(
        bootstrap_servers=given["BENCH_BOOTSTRAP"],
        security_protocol=given["BENCH_SECURITY_PROTOCOL"],
        sasl_mechanism=given["BENCH_SASL_MECHANISM"],
        username=given["BENCH_SASL_USERNAME"],
        password=SecretStr(given["BENCH_SASL_PASSWORD"]),
    )
    logs.configure("info")
    connection = Connection.of(kafka)
    plan = Plan(json.loads(Path(given["BENCH_PLAN"]).read_text(encoding="utf-8")))
    state = NewTopicSpec(names.delivery_topic(plan.record_type), _PARTITIONS, topic_config(TopicKind.LINE_STATE))
    Admin(connection).create_topics([state], 1)
    parts = Parts(connection, plan, {plan.record_type: plan.writers}, MasterSecret(), LineMetrics(SystemClock()))
    line = Line(connection, LINE, given["BENCH_GROUP_ID"], "bench", DeliveryFactory(parts))
    run_worker(line, LINE, MetricsSettings(port=0))


if __name__ == "__main__":
    main()

"""Years of a believable ledger, of any length: demands with their whole life, breaches that come and go, use records.

Every event is as the product writes it and continues the chain; the same seed gives the same ledger.
"""

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.clock import format_time
from exchange.ledger.events.event import FIRST_HASH, LedgerEvent
from exchange.names import RecordType
from exchange.settings import Settings

START: Final = datetime(2021, 1, 4, 1, 0, tzinfo=UTC)
DEMANDS_A_DAY: Final = 20
_DEPARTMENTS: Final = 60
_RESOURCES: Final = 150
_COMBINATIONS: Final = 5
"""Sets of fields that are asked for of one resource."""
_EXCHANGE: Final = "exchange"
_LAWS: Final = (
    "《政务数据共享条例》第十三条",
    "《企业信息公示暂行条例》第六条",
    "《社会保险法》第五十七条",
    "《税收征收管理法》第六条",
)

Said = tuple[float, str, str, str, bool, dict[str, Any]]
"""(days since the step before, event, actor, entity, whether a client's key goes with it, data)."""
Life = Iterator[Said]


@dataclass(frozen=True, slots=True)
class _Resource:
    code: str
    record_type: RecordType
    provider: str
    unconditional: bool
    combinations: tuple[tuple[str, ...], ...]


def ledger_of(events: int, seed: int = 1) -> Iterator[LedgerEvent]:
    """A ledger of so many events."""
    drawn = Random(seed)
    author = _Author(drawn, SchemaRepository.load(Settings().schemas))
    head, moment = FIRST_HASH, START
    for seq, (at, said) in zip(range(1, events + 1), author.story(), strict=False):
        _, name, actor, entity, keyed, data = said
        moment = max(moment, at)
        key = f"{author.random.getrandbits(128):032x}" if keyed else None
        if key is not None:
            data = {**data, "command": f"{author.random.getrandbits(256):064x}"}
        text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        event = LedgerEvent(seq, name, format_time(moment), actor, entity, key, head, data, seq - 1, text)
        head = event.hash
        yield event


class _Author:
    """Draws who does what when."""

    def __init__(self, random: Random, schemas: SchemaRepository) -> None:
        self.random = random
        self._schemas = {name: schemas.latest(name).schema for name in schemas.record_types()}
        self._departments = [f"department-{number}" for number in range(1, _DEPARTMENTS + 1)]
        self._resources = [self._resource(number) for number in range(1, _RESOURCES + 1)]
        self._numbers = 0
        self._schema_ids = 100_000

    def story(self) -> Iterator[tuple[datetime, Said]]:
        """Every event with its moment, in order, without end."""
        for said in self._beginning():
            yield START, said
        waiting: list[tuple[datetime, int, Said, Life]] = []
        arrival, number = START, 0
        while True:
            while not waiting or arrival <= waiting[0][0]:
                number += 1
                _wait(waiting, arrival, number, self._life())
                arrival += timedelta(days=self.random.expovariate(DEMANDS_A_DAY))
            at, lives, said, life = heapq.heappop(waiting)
            yield at, said
            _wait(waiting, at, lives, life)

    def _resource(self, number: int) -> _Resource:
        record_type = self.random.choice(sorted(self._schemas))
        fields = [field["name"] for field in self._schemas[record_type]["fields"]]
        asked = tuple(
            tuple(sorted(self.random.sample(fields, k=min(8, len(fields))), key=fields.index))
            for _ in range(_COMBINATIONS)
        )
        provider = self.random.choice(self._departments)
        code = f"{101000 + number}/{number:04d}"
        return _Resource(code, RecordType(record_type), provider, number % 3 == 0, asked)

    def _beginning(self) -> Iterator[Said]:
        for number, slug in enumerate(self._departments, 1):
            data: dict[str, Any] = {
                "department": slug,
                "name": f"第{number}局",
                "name_en": f"Office {number}",
                "credit_code": f"1134000000300{number:04d}X",
                "level": "province",
                "region": "340000",
                "owns": [],
                "valid_from": "2000-01-01",
                "valid_until": None,
                "successors": [],
                "registered": True,
            }
            yield 0, "department-registered", "operator", slug, True, data
            token = {"token": f"t-{number}", "digest": f"{number:064x}", "role": "department", "department": slug}
            yield 0, "token-issued", "operator", f"t-{number}", True, token
        for one in self._resources:
            sharing = "unconditional" if one.unconditional else "conditional"
            offered = [field["name"] for field in self._schemas[one.record_type]["fields"]]
            published: dict[str, Any] = {
                "resource": one.code,
                "record_type": one.record_type,
                "provider": one.provider,
                "name": "登记信息",
                "name_en": "Registrations",
                "sharing": sharing,
                "fields": dict.fromkeys(offered, sharing),
                "update_cycle_seconds": 86400,
                "details": {"conditions": "", "legal_basis": _LAWS[0]},
            }
            yield 0, "resource-published", _EXCHANGE, one.code, False, published

    def _life(self) -> Life:
        """One demand from its submission to the disposal of what was taken."""
        random = self.random
        resource, demander = random.choice(self._resources), random.choice(self._departments)
        demand, fields = f"d-{self._number()}", list(random.choice(resource.combinations))
        complete = random.random() < 0.9
        submitted = self._submitted(resource, demander, demand, fields, complete)
        until = timedelta(days=random.choice((90, 180, 365, 730)))
        yield 0, "demand-submitted", demander, demand, True, submitted
        about = {"demand": demand}
        if not complete:
            more = {**about, "complete": True, "missing": [], "details": {"legal_basis": random.choice(_LAWS)}}
            yield random.uniform(0.1, 6), "demand-supplemented", demander, demand, True, more
        if random.random() < 0.1:
            asked = {**about, "missing": ["scenario"], "note": "请补充使用场景", "pauses": False}
            yield random.uniform(0.1, 3), "supplement-requested", resource.provider, demand, True, asked
            more = {**about, "complete": True, "missing": [], "details": {"scenario": f"办理第{demand}号事项"}}
            yield random.uniform(0.1, 6), "demand-supplemented", demander, demand, True, more
        if random.random() < 0.1:
            asked = {**about, "days": 5, "reason": "涉及多个处室"}
            yield random.uniform(1, 8), "extension-requested", resource.provider, demand, True, asked
            yield random.uniform(0.1, 1), "reply-extended", "supervisor", demand, True, asked
        fate = random.random()
        if fate < 0.03:
            yield random.uniform(0.1, 9), "demand-withdrawn", demander, demand, True, {**about, "reason": "不再需要"}
        elif fate < 0.12:
            refusal = {**about, "reason": "不属于履职所需", "legal_basis": None}
            yield random.uniform(0.1, 9), "demand-refused", resource.provider, demand, True, refusal
        elif fate < 0.95:
            yield from self._granted(resource, demander, demand, fields, until.days)

    def _granted(self, resource: _Resource, demander: str, demand: str, fields: list[str], days: int) -> Life:
        random = self.random
        grant = f"g-{self._number()}"
        terms = {
            "record_type": resource.record_type,
            "provider": resource.provider,
            "fields": fields,
            "masks": {},
            "scope": [],
            "pseudonymous": False,
        }
        consent: dict[str, Any] = {
            "demand": demand,
            "grant": grant,
            "fields": fields,
            "masked": [],
            "scope_narrowed": False,
            "freshness_seconds": 86400,
            "terms": terms,
            "conditions": "",
            "until": None,
            "automatic": resource.unconditional,
        }
        by = _EXCHANGE if resource.unconditional else resource.provider
        yield random.uniform(0, 9), "demand-consented", by, demand, not resource.unconditional, consent
        yield from self._placed(resource, demand, grant, fields, terms)
        yield from self._served(resource, demander, grant, days)

    def _placed(self, resource: _Resource, demand: str, grant: str, fields: list[str], terms: dict[str, Any]) -> Life:
        random = self.random
        self._schema_ids += 1
        share = f"{resource.record_type}.{self._schema_ids}"
        schema = self._schemas[resource.record_type]
        created = {
            "share": share,
            "terms": terms,
            "schema_id": self._schema_ids,
            "schema": subset_schema(schema, fields, {}, schema["name"]),
            "master_version": 1,
        }
        yield 0.0001, "share-created", _EXCHANGE, share, False, created
        yield 0, "share-assigned", _EXCHANGE, grant, False, {"grant": grant, "share": share}
        active = {"grant": grant, "demand": demand, "share": share}
        yield 0.0001, "grant-activated", _EXCHANGE, grant, False, active
        yield random.uniform(0.001, 2), "first-delivered", _EXCHANGE, grant, False, {"grant": grant, "empty": False}

    def _served(self, resource: _Resource, demander: str, grant: str, days: int) -> Life:
        """Breaches and use records at random days, then notices, the end, and the disposal."""
        random = self.random
        about = {"grant": grant}
        for _ in range(random.randint(0, 2 + days // 15)):
            if random.random() < 0.35:
                used = {
                    **about,
                    "scenario": "企业开办核验",
                    "process": "窗口受理后自动比对",
                    "effect": f"减少材料{random.randint(1, 9)}份",
                    "storage": "政务云专区",
                }
                yield random.uniform(0.2, 20), "use-recorded", demander, grant, True, used
                continue
            cause = random.choice(("grantee", "grantee", "exchange", "provider"))
            lag = {**about, "cause": cause, "since": "2024-01-01T00:00:00.000Z"}
            yield random.uniform(0.2, 20), "freshness-broken", _EXCHANGE, grant, False, lag
            yield random.uniform(0.001, 3), "freshness-restored", _EXCHANGE, grant, False, lag
        if random.random() < 0.05:
            yield 1, "grant-suspended", resource.provider, grant, True, {**about, "reason": "核查用途"}
            yield 5, "grant-resumed", resource.provider, grant, True, about
        for left in (30, 7, 1):
            yield 7, "expiry-announced", _EXCHANGE, grant, False, {**about, "days": left}
        yield 1, "grant-ended", _EXCHANGE, grant, False, {**about, "reason": "expired"}
        yield random.uniform(1, 20), "data-disposed", demander, grant, True, {**about, "how": "已删除"}

    def _submitted(
        self, resource: _Resource, demander: str, demand: str, fields: list[str], complete: bool
    ) -> dict[str, Any]:
        return {
            "demand": demand,
            "request": f"r-{demand[2:]}",
            "demander": demander,
            "provider": resource.provider,
            "registry": resource.record_type.partition(".")[0],
            "record_type": resource.record_type,
            "resource": resource.code,
            "fields": fields,
            "masks": {},
            "scope": [{"field": fields[0], "operator": "prefix", "values": [demand]}],
            "complete": complete,
            "missing": [] if complete else ["legal_basis"],
            "use_from": None,
            "use_until": None,
            "freshness_seconds": None,
            "details": {
                "legal_basis": self.random.choice(_LAWS) if complete else "",
                "scenario": f"办理第{demand}号事项时核验申请人信息",
                "use_scope": "仅限本部门业务系统",
                "mode": "batch-exchange",
            },
            "renews": None,
            "review": False,
            "reply_days": 1 if resource.unconditional else 10,
        }

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


def _wait(waiting: list[tuple[datetime, int, Said, Life]], since: datetime, number: int, life: Life) -> None:
    """Put the next step of a life among those that wait; one that is over is dropped."""
    said = next(life, None)
    if said is not None:
        heapq.heappush(waiting, (since + timedelta(days=said[0]), number, said, life))

"""What the lives of a worked year are made of: departments, demands, replies, service."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exchange.avro.record_schema import RecordSchema
from exchange.catalogue.model import ResourceSpec, Sharing
from tests.harness.worked_year.year import LATE_RESOURCE, Life, WorkedYear

DEPARTMENTS = (
    "market-regulation", "public-security", "health", "taxation", "human-resources", "civil-affairs", "finance",
    "development-and-reform", "education", "justice", "natural-resources", "ecology-and-environment", "transport",
    "housing-and-construction", "agriculture-and-rural-affairs", "water-resources", "forestry", "commerce",
    "culture-and-tourism", "emergency-management", "drug-administration", "statistics", "energy", "data-resources",
    "rural-revitalisation", "meteorology", "healthcare-security", "high-court", "procuratorate", "state-assets",
)  # fmt: skip
"""The thirty that take part."""
_STATED = {
    "legal_basis": "政务数据共享条例 art. 20",
    "use_scope": "全省",
    "mode": "batch-exchange",
}


class Made(NamedTuple):
    """A demand that was consented to."""

    demander: str
    demand: str
    grant: str


def once(act: Callable[[], object]) -> Life:
    """Something that happens at one moment."""
    act()
    yield from ()


@dataclass(slots=True)
class Pieces:
    """Makes the pieces. Every choice comes from the year's seed."""

    year: WorkedYear
    heirs: dict[str, str] = field(default_factory=dict)
    """Who acts for a department that is gone."""

    def _days(self, least: float, most: float) -> float:
        return self.year.random.uniform(least, most)

    def _resource(self, *codes: str) -> ResourceSpec:
        offered = [
            one
            for one in self.year.catalogue.resources.values()
            if (not codes and one.code != LATE_RESOURCE and not one.review) or one.code in codes
        ]
        return self.year.random.choice(offered)

    def _demander(self, *but: str) -> str:
        found = self.year.random.choice([one for one in DEPARTMENTS if one not in but])
        return self._acting(found)

    def _acting(self, department: str) -> str:
        while department in self.heirs:
            department = self.heirs[department]
        return department

    def _fields(self, resource: ResourceSpec, sharings: Sequence[Sharing]) -> list[str]:
        """Some fields, always with the key in clear: a department holds no pseudonyms beside clear keys."""
        key = self._schema(resource).natural_key
        free = [name for name, sharing in resource.fields.items() if sharing in sharings and name not in key]
        return [*key, *self.year.random.sample(free, min(len(free), self.year.random.randint(2, 7)))]

    def _schema(self, resource: ResourceSpec) -> RecordSchema:
        record = self.year.service.schemas.latest(resource.record_type).record
        assert record is not None
        return record

    def _stated(self) -> dict[str, str]:
        """What a complete demand states. Its scenario is one of many: now and then a department asks twice for one."""
        return {**_STATED, "scenario": f"办理第{self.year.random.randint(1, 60)}类业务"}

    def _submit(self, resource: ResourceSpec, **more: Any) -> tuple[str, str] | None:
        """(demander, demand) of a new demand."""
        demander = self._demander(resource.provider)
        sharings = (Sharing.UNCONDITIONAL, Sharing.CONDITIONAL)
        body = {**self._stated(), "resource": resource.code, "fields": self._fields(resource, sharings), **more}
        answer = self.year.post(demander, "/v1/demands", **{name: one for name, one in body.items() if one is not None})
        return None if answer is None else (demander, answer["demand"])

    def _act(self, who: str, demand: str, step: str, **body: Any) -> dict[str, Any] | None:
        return self.year.post(self._acting(who), f"/v1/demands/{demand}/{step}", **body)

    def _grant(self, who: str, grant: str, step: str, **body: Any) -> dict[str, Any] | None:
        return self.year.post(self._acting(who), f"/v1/grants/{grant}/{step}", **body)

    def _consent(self, resource: ResourceSpec, demand: str, **body: Any) -> str | None:
        answer = self._act(resource.provider, demand, "consent", **body)
        return None if answer is None else str(answer["grants"][-1])

    def _served(self, grant: str | None, most: float = 26) -> Life:
        """Activated, perhaps too late, and delivered."""
        if grant is None:
            return
        late = self.year.random.random() < 0.2
        yield self._days(26, 45) if late else self._days(0.2, most)
        self.year.activate(grant)
        yield self._days(0.05, 2)
        self.year.deliver(grant)

    def _replied(self, resource: ResourceSpec, **submitted: Any) -> Generator[float, None, Made | None]:
        """A plain life up to the delivery; its value is what was made, None for what was refused."""
        made = self._submit(resource, **submitted)
        if made is None:
            return None
        yield self._days(0.3, 22)
        grant = self._consent(resource, made[1])
        yield from self._served(grant)
        return None if grant is None else Made(*made, grant)

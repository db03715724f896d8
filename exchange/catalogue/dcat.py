"""The catalogue as DCAT 3 in JSON-LD: resources as datasets, departments as organisations with their succession.

It keeps to DCAT-AP 3 where that says more than DCAT: mandatory properties, classes of values, and the European
authority lists for frequency, access right and language. Fields are columns of CSV on the Web (DCAT has no fields). The
context is inside the document, so that nobody has to fetch anything.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from exchange.avro.record_schema import RecordSchema
from exchange.catalogue import words
from exchange.catalogue.code_sets import CodeSet
from exchange.catalogue.model import Catalogue, DepartmentSpec, ResourceSpec, Sharing, UpdateCycle
from exchange.catalogue.words import Text
from exchange.errors import ExchangeError
from exchange.names import registry_of

_EU: Final = "http://publications.europa.eu/resource/authority/"
_FREQUENCIES: Final[Mapping[UpdateCycle, str]] = {
    UpdateCycle.REAL_TIME: "UPDATE_CONT",
    UpdateCycle.DAILY: "DAILY",
    UpdateCycle.WEEKLY: "WEEKLY",
    UpdateCycle.MONTHLY: "MONTHLY",
    UpdateCycle.QUARTERLY: "QUARTERLY",
    UpdateCycle.YEARLY: "ANNUAL",
    UpdateCycle.OTHER: "OTHER",
}
_ACCESS: Final[Mapping[Sharing, str]] = {
    Sharing.UNCONDITIONAL: "RESTRICTED",  # to departments: nothing here is open to the public
    Sharing.CONDITIONAL: "RESTRICTED",
    Sharing.NOT_SHARED: "NON_PUBLIC",
}
CONTEXT: Final[Mapping[str, str]] = {
    "csvw": "http://www.w3.org/ns/csvw#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "org": "http://www.w3.org/ns/org#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}

Json = dict[str, Any]


def dcat(
    catalogue: Catalogue, schemas: Mapping[str, RecordSchema], code_sets: Mapping[str, CodeSet], base: str
) -> Json:
    """The document. base: the address of the broker service, where resources and departments can be looked up.

    Raises ExchangeError: E_CATALOGUE when a resource has no schema, E_UNKNOWN_FIELD.
    """
    return {"@context": dict(CONTEXT), "@graph": _Graph(catalogue, schemas, code_sets, base.rstrip("/")).nodes()}


def _say(text: Text) -> list[Json]:
    return [{"@value": text.zh, "@language": "zh"}, {"@value": text.en, "@language": "en"}]


def _typed(value: object, datatype: str) -> Json:
    return {"@value": str(value), "@type": f"xsd:{datatype}"}


def _authority(table: str, code: str, kind: str) -> Json:
    return {"@id": f"{_EU}{table}/{code}", "@type": kind}


class _Graph:
    """The nodes of a catalogue, each with the address at which the broker service knows it."""

    def __init__(
        self, catalogue: Catalogue, schemas: Mapping[str, RecordSchema], code_sets: Mapping[str, CodeSet], base: str
    ) -> None:
        self._catalogue = catalogue
        self._schemas = schemas
        self._code_sets = code_sets
        self._base = base

    def nodes(self) -> list[Json]:
        resources = list(self._catalogue.resources.values())
        types = dict.fromkeys(one.record_type for one in resources)
        used = {rule.code_set for name in types for rule in self._schema(name).fields if rule.code_set}
        return [
            self._whole(resources),
            self._service(resources),
            *(self._dataset(one) for one in resources),
            *(self._structure(one) for one in resources),
            *self._themes({registry_of(name) for name in types}),
            *(self._code_set(self._code_sets[name]) for name in sorted(used & self._code_sets.keys())),
            *(self._organisation(one) for one in self._catalogue.departments.values()),
            *(self._change(one) for one in self._catalogue.departments.values() if one.successors),
        ]

    def _at(self, *path: str) -> str:
        return "/".join((self._base, *(quote(part, safe="/") for part in path)))

    def _resource(self, one: ResourceSpec) -> str:
        return self._at("v1/resources", one.code)

    def _department(self, slug: str) -> str:
        return self._at("v1/departments", slug)

    def _schema(self, record_type: str) -> RecordSchema:
        found = self._schemas.get(record_type)
        if found is None:
            raise ExchangeError("E_CATALOGUE", f"there is no schema for {record_type}")
        return found

    def _whole(self, resources: list[ResourceSpec]) -> Json:
        title = Text("政务信息资源目录", "Catalogue of government information resources")
        about = Text("各部门通过交换平台共享的信息资源", "What the departments share through the exchange")
        published = [one.published for one in resources]
        dates: Json = {}
        if published:
            dates = {"dct:issued": _typed(min(published), "date"), "dct:modified": _typed(max(published), "date")}
        return {
            "@id": self._at("v1/resources"),
            "@type": "dcat:Catalog",
            "dct:title": _say(title),
            "dct:description": _say(about),
            "dct:publisher": {
                "@id": self._base,
                "@type": "foaf:Agent",
                "foaf:name": _say(Text("政务数据共享主管部门", "The competent department for data sharing")),
            },
            "dct:language": [_authority("language", code, "dct:LinguisticSystem") for code in ("ZHO", "ENG")],
            "dcat:themeTaxonomy": {"@id": self._at("registries")},
            "dcat:dataset": [{"@id": self._resource(one)} for one in resources],
            "dcat:service": {"@id": self._at("v1")},
            **dates,
        }

    def _service(self, resources: list[ResourceSpec]) -> Json:
        title = Text("数据共享申请接口", "Demands and grants of shared data")
        return {
            "@id": self._at("v1"),
            "@type": "dcat:DataService",
            "dct:title": _say(title),
            "dcat:endpointURL": {"@id": self._at("v1"), "@type": "rdfs:Resource"},
            "dcat:endpointDescription": {"@id": self._at("openapi.json"), "@type": "rdfs:Resource"},
            "dcat:servesDataset": [{"@id": self._resource(one)} for one in resources],
        }

    def _dataset(self, one: ResourceSpec) -> Json:
        name = Text(one.name, one.name_en)
        basis = words.source(one.legal_basis, self._catalogue.laws)
        return {
            "@id": self._resource(one),
            "@type": "dcat:Dataset",
            "dct:identifier": one.code,
            "dct:title": _say(name),
            "dct:description": _say(Text(one.abstract_zh or one.name, one.abstract or one.name_en)),
            "dct:publisher": {"@id": self._department(one.provider)},
            "dcat:theme": {"@id": self._at("registries", registry_of(one.record_type))},
            "dct:issued": _typed(one.published, "date"),
            "dct:accrualPeriodicity": _authority("frequency", _FREQUENCIES[one.update_cycle], "dct:Frequency"),
            "dct:accessRights": _authority("access-right", _ACCESS[one.sharing], "dct:RightsStatement"),
            "dct:rights": self._rights(one.sharing, Text(one.conditions_zh, one.conditions)),
            "dct:provenance": {
                "@type": "dct:ProvenanceStatement",
                "rdfs:label": _say(Text(f"采集依据：{basis.zh}", f"Collected under {basis.en}")),
            },
            "dct:conformsTo": {"@id": f"{self._resource(one)}#fields"},
            "dcat:distribution": {
                "@type": "dcat:Distribution",
                "dct:title": _say(name),
                "dcat:accessURL": {"@id": self._at("v1/demands"), "@type": "rdfs:Resource"},
                "dcat:accessService": {"@id": self._at("v1")},
                "dct:format": {"@type": "dct:MediaTypeOrExtent", "rdfs:label": "Apache Avro on Apache Kafka"},
            },
        }

    def _rights(self, sharing: Sharing, condition: Text) -> Json:
        attribute = words.SHARINGS[sharing]
        told = condition.en and sharing is Sharing.CONDITIONAL
        label = Text(f"{attribute.zh}：{condition.zh}", f"{attribute.en}: {condition.en}") if told else attribute
        return {"@type": "dct:RightsStatement", "rdfs:label": _say(label)}

    def _structure(self, one: ResourceSpec) -> Json:
        schema = self._schema(one.record_type)
        columns = [self._column(one, schema, name) for name in one.fields]
        return {
            "@id": f"{self._resource(one)}#fields",
            "@type": ["dct:Standard", "csvw:Schema"],
            "dct:title": _say(Text(f"{one.name}：信息项", f"Fields of {one.name_en}")),
            "dct:identifier": one.record_type,
            "csvw:column": {"@list": columns},
            "csvw:primaryKey": [name for name in schema.natural_key if name in one.fields],
        }

    def _column(self, one: ResourceSpec, schema: RecordSchema, name: str) -> Json:
        rule, sharing, condition = schema.field(name), one.fields[name], one.condition(name)
        if sharing is Sharing.NOT_SHARED:
            told = words.source(one.not_shared_basis[name], self._catalogue.laws)
            attribute = words.SHARINGS[sharing]
            rights: Json = {
                "@type": "dct:RightsStatement",
                "rdfs:label": _say(Text(f"{attribute.zh}：{told.zh}", f"{attribute.en}: {told.en}")),
            }
        else:
            rights = self._rights(sharing, Text(condition.zh, condition.en) if condition else Text("", ""))
        column: Json = {
            "@id": f"{self._resource(one)}#{name}",
            "@type": "csvw:Column",
            "csvw:name": name,
            "csvw:title": _say(Text(rule.meaning_zh, rule.meaning)),
            "csvw:datatype": words.form_of(rule.type).xsd,
            "csvw:required": _typed(str(rule.required).lower(), "boolean"),
            "dct:accessRights": _authority("access-right", _ACCESS[sharing], "dct:RightsStatement"),
            "dct:rights": rights,
        }
        if rule.standard:
            column["dct:source"] = rule.standard
        if rule.code_set in self._code_sets:
            column["dct:conformsTo"] = {"@id": self._at("code-sets", rule.code_set)}
        return column

    def _themes(self, used: set[str]) -> Iterable[Json]:
        scheme = self._at("registries")
        yield {
            "@id": scheme,
            "@type": "skos:ConceptScheme",
            "dct:title": _say(Text("基础信息资源分类", "Base registries")),
        }
        for registry, name in words.REGISTRIES.items():
            if registry in used:
                yield {
                    "@id": self._at("registries", registry),
                    "@type": "skos:Concept",
                    "skos:prefLabel": _say(name),
                    "skos:inScheme": {"@id": scheme},
                }

    def _code_set(self, one: CodeSet) -> Json:
        return {
            "@id": self._at("code-sets", one.name),
            "@type": "dct:Standard",
            "dct:title": _say(Text(one.title_zh, one.title)),
            "dct:identifier": one.name,
            "dct:source": one.source,
        }

    def _organisation(self, one: DepartmentSpec) -> Json:
        return {
            "@id": self._department(one.slug),
            "@type": ["foaf:Agent", "org:FormalOrganization"],
            "foaf:name": _say(Text(one.name, one.name_en)),
            "org:identifier": one.credit_code,
            "dct:identifier": one.slug,
            "dct:spatial": {"@type": "dct:Location", "dct:identifier": one.region},
        }

    def _change(self, one: DepartmentSpec) -> Json:
        return {
            "@id": f"{self._department(one.slug)}#succession",
            "@type": "org:ChangeEvent",
            "org:originalOrganization": {"@id": self._department(one.slug)},
            "org:resultingOrganization": [{"@id": self._department(slug)} for slug in one.successors],
            "prov:endedAtTime": _typed(f"{one.valid_until}T00:00:00+08:00", "dateTime"),
        }

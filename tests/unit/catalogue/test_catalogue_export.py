"""The catalogue for other consumers: AsyncAPI and DCAT documents that strict readers of these forms accept."""

import copy
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rdflib
from pydantic import ValidationError
from pyshacl import validate
from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF
from typer.testing import CliRunner

from exchange.avro.lock import SchemaRepository
from exchange.catalogue.asyncapi import VERSION, Place, asyncapi
from exchange.catalogue.code_sets import read_code_sets
from exchange.catalogue.dcat import dcat
from exchange.catalogue.load import load
from exchange.catalogue.model import Catalogue
from exchange.catalogue.record_types import read_record_schemas
from exchange.cli.main import app
from exchange.errors import ExchangeError
from exchange.names import inbox_topic

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a model of it has a field called `schema`
    from asyncapi3 import AsyncAPI3

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")  # rdflib's own parser uses it

SCHEMAS = Path(__file__).parents[3] / "schemas"
BASE = "https://exchange.example"
PLACE = Place("kafka-1.example:9093, kafka-2.example:9093", "SASL_SSL", BASE, None)
ORG = rdflib.Namespace("http://www.w3.org/ns/org#")
CSVW = rdflib.Namespace("http://www.w3.org/ns/csvw#")
MANDATORY = """
@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> . @prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .

[] sh:targetClass dcat:Catalog ;
   sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:uniqueLang true ; sh:nodeKind sh:Literal ] ,
               [ sh:path dct:description ; sh:minCount 1 ; sh:uniqueLang true ; sh:nodeKind sh:Literal ] ,
               [ sh:path dct:publisher ; sh:minCount 1 ; sh:maxCount 1 ; sh:class foaf:Agent ] ,
               [ sh:path dcat:dataset ; sh:class dcat:Dataset ] ,
               [ sh:path dcat:service ; sh:class dcat:DataService ] ,
               [ sh:path dcat:themeTaxonomy ; sh:class skos:ConceptScheme ] ,
               [ sh:path dct:language ; sh:class dct:LinguisticSystem ] .
[] sh:targetClass dcat:Dataset ;
   sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:uniqueLang true ; sh:nodeKind sh:Literal ] ,
               [ sh:path dct:description ; sh:minCount 1 ; sh:uniqueLang true ; sh:nodeKind sh:Literal ] ,
               [ sh:path dct:publisher ; sh:minCount 1 ; sh:maxCount 1 ; sh:class foaf:Agent ] ,
               [ sh:path dct:identifier ; sh:minCount 1 ; sh:nodeKind sh:Literal ] ,
               [ sh:path dcat:theme ; sh:minCount 1 ; sh:class skos:Concept ] ,
               [ sh:path dct:issued ; sh:maxCount 1 ; sh:datatype xsd:date ] ,
               [ sh:path dct:accrualPeriodicity ; sh:maxCount 1 ; sh:class dct:Frequency ] ,
               [ sh:path dct:accessRights ; sh:maxCount 1 ; sh:class dct:RightsStatement ] ,
               [ sh:path dct:conformsTo ; sh:minCount 1 ; sh:class dct:Standard ] ,
               [ sh:path dct:provenance ; sh:class dct:ProvenanceStatement ] ,
               [ sh:path dcat:distribution ; sh:minCount 1 ; sh:class dcat:Distribution ] .
[] sh:targetClass dcat:Distribution ;
   sh:property [ sh:path dcat:accessURL ; sh:minCount 1 ; sh:nodeKind sh:IRI ] ,
               [ sh:path dcat:accessService ; sh:class dcat:DataService ] ,
               [ sh:path dct:format ; sh:maxCount 1 ; sh:class dct:MediaTypeOrExtent ] .
[] sh:targetClass dcat:DataService ;
   sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:nodeKind sh:Literal ] ,
               [ sh:path dcat:endpointURL ; sh:minCount 1 ; sh:nodeKind sh:IRI ] ,
               [ sh:path dcat:servesDataset ; sh:class dcat:Dataset ] .
[] sh:targetClass foaf:Agent ; sh:property [ sh:path foaf:name ; sh:minCount 1 ; sh:nodeKind sh:Literal ] .
[] sh:targetClass skos:Concept ; sh:property [ sh:path skos:prefLabel ; sh:minCount 1 ; sh:uniqueLang true ] .
[] sh:targetClass skos:ConceptScheme ; sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:nodeKind sh:Literal ] .
"""
"""What DCAT-AP 3 demands of the classes that occur here, and what else the exchange promises of a resource."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(SCHEMAS / "catalogue")


@pytest.fixture(scope="module")
def document(catalogue: Catalogue) -> Json:
    return json.loads(json.dumps(asyncapi(catalogue, SchemaRepository.load(SCHEMAS), PLACE)))


@pytest.fixture(scope="module")
def metadata(catalogue: Catalogue) -> Json:
    return dcat(catalogue, read_record_schemas(SCHEMAS), read_code_sets(SCHEMAS / "code-sets"), f"{BASE}/")


@pytest.fixture(scope="module")
def graph(metadata: Json) -> rdflib.Graph:
    return parsed(metadata)


def parsed(metadata: Json) -> rdflib.Graph:
    graph = rdflib.Graph()
    graph.parse(data=json.dumps(metadata), format="json-ld")
    return graph


def valid(graph: rdflib.Graph) -> tuple[bool, str]:
    shapes = rdflib.Graph()
    shapes.parse(data=MANDATORY, format="turtle")
    holds, _report, text = validate(graph, shacl_graph=shapes)
    return holds, text


def read(document: Json) -> AsyncAPI3:
    """The document by a strict reader: unknown members are refused.

    The reader knows 3.0. Version 3.1 left its object model as it was and added only bindings and formats that do not
    occur here.
    """
    assert document["asyncapi"] == VERSION
    return AsyncAPI3.model_validate({**document, "asyncapi": "3.0.0"})


def first(parts: Json) -> Json:
    return next(iter(parts.values()))


def test_asyncapi_document_is_valid(document: Json) -> None:
    read(document)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: first(made["channels"]).update(adress="x"),
        lambda made: first(made["operations"]).update(action="publish"),
        lambda made: first(made["channels"])["bindings"]["kafka"].update(partitions=0),
        lambda made: first(made["channels"])["bindings"]["kafka"].update(partition=6),
        lambda made: made["info"].pop("title"),
    ],
)
def test_reader_of_the_asyncapi_document_is_strict(document: Json, spoil: Callable[[Json], None]) -> None:
    spoiled = copy.deepcopy(document)
    spoil(spoiled)
    with pytest.raises(ValidationError):
        read(spoiled)


def test_every_reference_of_the_asyncapi_document_leads_somewhere(document: Json) -> None:
    def references(part: Any) -> Iterator[str]:
        parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for one in parts:
            yield from references(one)

    found = set(references(document))
    assert len(found) > 10
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_provider_has_its_inbox_as_a_channel(document: Json, catalogue: Catalogue) -> None:
    schemas = SchemaRepository.load(SCHEMAS)
    by_address = {one["address"]: one for one in document["channels"].values()}
    for one in catalogue.resources.values():
        channel = by_address.pop(inbox_topic(one.record_type, one.provider))
        reference = first(channel["messages"])["$ref"].rpartition("/")[2]
        message = document["components"]["messages"][reference]
        locked = schemas.latest(one.record_type)
        assert message["payload"]["schema"] == locked.schema
        assert message["x-schema-id"] == locked.id
        assert channel["x-resource"]["code"] == one.code
        assert channel["bindings"]["kafka"]["partitions"] in (6, 12)
    assert list(by_address) == ["share.{share}"]


def test_what_is_not_shared_is_in_no_delivered_payload(document: Json) -> None:
    messages = document["components"]["messages"]
    fields = [one["name"] for one in messages["delivered_population_death"]["payload"]["schema"]["fields"]]
    assert "cause_class" not in fields and "death_date" in fields
    submitted = [one["name"] for one in messages["submitted_population_death"]["payload"]["schema"]["fields"]]
    assert "cause_class" in submitted


def test_asyncapi_names_each_broker_and_the_schema_registry(document: Json) -> None:
    servers = list(document["servers"].values())
    assert [one["host"] for one in servers] == ["kafka-1.example:9093", "kafka-2.example:9093"]
    assert {one["protocol"] for one in servers} == {"kafka-secure"}
    assert {one["bindings"]["kafka"]["schemaRegistryUrl"] for one in servers} == {BASE}


def test_record_type_that_is_not_locked_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ExchangeError) as error:
        asyncapi(catalogue, SchemaRepository([]), PLACE)
    assert error.value.code == "E_SCHEMA"


def test_dcat_document_has_what_dcat_ap_demands(graph: rdflib.Graph) -> None:
    holds, text = valid(graph)
    assert holds, text


@pytest.mark.parametrize("lost", ["dct:title", "dct:publisher", "dct:conformsTo", "dcat:distribution"])
def test_dcat_document_without_a_mandatory_property_is_found_out(metadata: Json, lost: str) -> None:
    spoiled = copy.deepcopy(metadata)
    dataset = next(node for node in spoiled["@graph"] if node["@type"] == "dcat:Dataset")
    del dataset[lost]
    assert not valid(parsed(spoiled))[0]


def test_dcat_needs_no_context_from_elsewhere(metadata: Json) -> None:
    assert all(isinstance(value, str) and value.startswith("http") for value in metadata["@context"].values())
    assert not any("@context" in node for node in metadata["@graph"])


def test_every_resource_is_a_dataset_with_all_its_fields(graph: rdflib.Graph, catalogue: Catalogue) -> None:
    found = {str(graph.value(one, DCTERMS.identifier)): one for one in graph.subjects(RDF.type, DCAT.Dataset)}
    assert set(found) == set(catalogue.resources)
    for code, resource in catalogue.resources.items():
        structure = graph.value(found[code], DCTERMS.conformsTo)
        columns = list(graph.items(graph.value(structure, CSVW.column)))
        assert [str(graph.value(one, CSVW.name)) for one in columns] == list(resource.fields)
        for column in columns:
            assert {one.language for one in graph.objects(column, CSVW.title)} == {"zh", "en"}
            assert graph.value(column, DCTERMS.rights) is not None


def test_every_department_is_an_organisation_with_its_successors(graph: rdflib.Graph, catalogue: Catalogue) -> None:
    at = {slug: rdflib.URIRef(f"{BASE}/v1/departments/{slug}") for slug in catalogue.departments}
    for slug, one in catalogue.departments.items():
        assert {str(name) for name in graph.objects(at[slug], FOAF.name)} == {one.name, one.name_en}
        event = graph.value(predicate=ORG.originalOrganization, object=at[slug])
        heirs = set() if event is None else set(graph.objects(event, ORG.resultingOrganization))
        assert heirs == {at[heir] for heir in one.successors}


@pytest.mark.parametrize(("form", "member"), [("dcat", "@graph"), ("asyncapi", "channels")])
def test_export_writes_a_document(tmp_path: Path, form: str, member: str) -> None:
    result = CliRunner().invoke(app, ["catalogue", "export", "--format", form])
    assert result.exit_code == 0
    assert member in json.loads(result.output)
    path = tmp_path / "catalogue.json"
    result = CliRunner().invoke(app, ["catalogue", "export", "--format", form, "--output", str(path)])
    assert result.exit_code == 0
    assert member in json.loads(path.read_text(encoding="utf-8"))

"""DataCite JSON of one output: judged by a closed schema written from DataCite's kernel 4.7, and
compared with the records.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest

from ledger.errors import AllianceError
from ledger.records.catalogue import Alias, DatasetBody
from ledger.records.use import Used
from ledger.rules.credit import credit_of
from node.reports.datacite import UNKNOWN, datacite_of, output_of
from tests.ledger.lives import ANALYST, LEADER
from tests.ledger.yields import FILES, OUTPUT, Yield
from tests.support.reports import Asked, asking

Json = dict[str, Any]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    """An object of DataCite's JSON: nothing in it that DataCite does not know."""


class NameIdentifier(Closed):
    nameIdentifier: Text  # DataCite's names
    nameIdentifierScheme: Text


class Creator(Closed):
    name: Text
    nameIdentifiers: list[NameIdentifier] = []
    nameType: Literal["Organizational", "Personal"] | None = None


class Contributor(Creator, kw_only=True):
    contributorType: Literal[
        "DataCollector", "DataCurator", "DataManager", "HostingInstitution", "Producer",
        "ProjectMember", "Researcher", "RightsHolder",
    ]  # fmt: skip


class AlternateIdentifier(Closed):
    alternateIdentifier: Text
    alternateIdentifierType: Text


class RelatedIdentifier(Closed):
    relatedIdentifier: Text
    relatedIdentifierType: Literal["DOI", "URN"]
    relationType: Literal["IsDerivedFrom", "IsNewVersionOf"]
    resourceTypeGeneral: Literal["Dataset"] | None = None


class Date(Closed):
    date: Annotated[str, msgspec.Meta(pattern=r"\A\d{4}-\d\d-\d\d\Z")]
    dateType: Literal["Created", "Issued"]
    dateInformation: Text | None = None


class Description(Closed):
    description: Text
    descriptionType: Literal["TechnicalInfo"]


class Funding(Closed):
    funderName: Text


class Publisher(Closed):
    name: Text
    publisherIdentifier: Text | None = None
    publisherIdentifierScheme: Text | None = None


class Title(Closed):
    title: Text


class Types(Closed):
    resourceType: Text
    resourceTypeGeneral: Literal["Dataset", "Model", "Report", "Software", "Standard", "Text"]


class DataCite(Closed):
    alternateIdentifiers: Annotated[list[AlternateIdentifier], msgspec.Meta(min_length=1)]
    creators: Annotated[list[Creator], msgspec.Meta(min_length=1)]
    publicationYear: Annotated[str, msgspec.Meta(pattern=r"\A\d{4}\Z")]
    publisher: Publisher
    schemaVersion: Literal["http://datacite.org/schema/kernel-4"]
    titles: Annotated[list[Title], msgspec.Meta(min_length=1)]
    types: Types
    contributors: list[Contributor] = []
    dates: list[Date] = []
    descriptions: list[Description] = []
    doi: Annotated[str, msgspec.Meta(pattern=r"\A10\.\d{4,9}/\S+\Z")] | None = None
    formats: list[Text] = []
    fundingReferences: list[Funding] = []
    relatedIdentifiers: list[RelatedIdentifier] = []


@pytest.fixture(scope="module")
def life() -> Yield:
    """A result that appeared twice and was corrected, and one that nobody claims and that appeared
    nowhere.
    """
    life = Yield()
    life.dataset()
    life.permit()
    life.step("activate")
    life.access()
    life.run(generated=(OUTPUT, *FILES))
    life.run_leaf = life.leaf
    life.result()
    life.released()
    life.publish(pid_value="10.1234/second", published_on="2026-01-03")
    life.later = life.leaf
    life.publish(pid_value="10.1234/first", published_on="2026-01-02")
    life.confirm(life.claim())
    first, body = life.result_leaf, life.blocks_body(life.versions["D1"])
    known = (Alias(name="10.5281/zenodo.1", namespace="doi"),)
    series = DatasetBody(aliases=known, custodian="h1", openness="conditional", series_id="D2")
    life.put("dataset", series)
    life.put("dataset-version", msgspec.structs.replace(body, series_id="D2"))
    both = (Used(kind="dataset", name="D1@1"), Used(kind="dataset", name="D2@1"))
    life.run(run_id="run-2", generated=(OUTPUT, *FILES), used=both)
    life.run_leaf = life.leaf
    life.result(result_id="RES-2", supersedes=first, kind="software")
    life.result_leaf = first
    return life


@pytest.fixture(scope="module")
def asked(life: Yield, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with asking(life, tmp_path_factory.mktemp("datacite") / "ledger.db") as found:
        yield found


def exported(asked: Asked, name: str) -> Json:
    """The document, once the schema has read it."""
    document = asked.export("datacite", object=name)
    msgspec.convert(document, DataCite)
    return document


def names_of(document: Json) -> dict[str, str]:
    known = document["alternateIdentifiers"]
    return {one["alternateIdentifierType"]: one["alternateIdentifier"] for one in known}


def test_a_published_result_is_known_by_where_it_appeared_first(life: Yield, asked: Asked) -> None:
    document = exported(asked, "RES-1")
    assert document["doi"] == "10.1234/first"
    assert document["publicationYear"] == "2026"
    assert document["dates"][1] == {"date": "2026-01-02", "dateType": "Issued"}
    names = names_of(document)
    assert (names["Alliance result"], names["Alliance leaf hash"]) == ("RES-1", life.result_leaf)
    assert names["DOI"] == "10.1234/second"
    assert names["RFC 6920 digest of the content"] == f"ni:///sha-256;{OUTPUT}"
    assert document["types"] == {"resourceType": "paper", "resourceTypeGeneral": "Text"}


def test_asked_by_a_publication_it_is_that_one(life: Yield, asked: Asked) -> None:
    document = exported(asked, life.later)
    assert document["doi"] == "10.1234/second"
    assert names_of(document)["DOI"] == "10.1234/first"
    assert names_of(document)["Alliance result"] == "RES-1"


def test_what_no_record_holds_is_unavailable(asked: Asked) -> None:
    published, new = exported(asked, "RES-1"), exported(asked, "RES-2")
    assert published["titles"] == new["titles"] == [{"title": UNKNOWN}]
    assert published["publisher"] == {"name": UNKNOWN}
    assert new["creators"] == [{"name": UNKNOWN}]
    assert "doi" not in new
    assert new["publisher"] == {"name": "h1"}


def test_organisations_are_known_by_their_register(asked: Asked) -> None:
    ground = asked.reports._ground(asked.view, None)
    output = output_of(ground, "RES-2")._replace(registered={"h1": "91350100M000100Y43"})
    document = datacite_of(output)
    assert document["publisher"] == {
        "name": "h1",
        "publisherIdentifier": "91350100M000100Y43",
        "publisherIdentifierScheme": "USCC",
    }
    named = {one["name"]: one.get("nameIdentifiers") for one in document["contributors"]}
    known = {"nameIdentifier": "91350100M000100Y43", "nameIdentifierScheme": "USCC"}
    assert named["h1"] == [known]
    msgspec.convert(document, DataCite)


def test_who_is_acknowledged_is_creator_or_contributor_by_code_or_pid(
    life: Yield, asked: Asked
) -> None:
    document = exported(asked, "RES-1")
    assert [one["name"] for one in document["creators"]] == [f"pid:{ANALYST}"]
    credited = {
        (row.party.removeprefix("org:"), row.contributor_type)
        for row in credit_of(life.draft(), life.result_leaf, life.at()).acknowledgements
        if row.role != "analyst"
    }
    assert {(one["name"], one["contributorType"]) for one in document["contributors"]} == credited
    assert (f"pid:{LEADER}", "ProjectMember") in credited
    texts = [one["description"] for one in document["descriptions"]]
    assert f"CRediT: pid:{ANALYST}, formal-analysis (lead)." in texts


def test_the_data_and_the_earlier_result_are_related(life: Yield, asked: Asked) -> None:
    document = exported(asked, "RES-2")
    entry = names_of(exported(asked, "RES-1"))["Alliance entry"]
    urn, doi, earlier = document["relatedIdentifiers"]
    assert (earlier["relationType"], earlier["relatedIdentifier"]) == ("IsNewVersionOf", entry)
    assert (doi["relatedIdentifierType"], doi["relatedIdentifier"]) == ("DOI", "10.5281/zenodo.1")
    assert urn["relatedIdentifier"].startswith(f"urn:alliance:chain:{life.tip.chain}:entry/")
    index = int(urn["relatedIdentifier"].rpartition("/")[2])
    assert asked.reports._ground(asked.view, None).leaf_at(index) == life.versions["D1"]
    digest = life.blocks_body(life.versions["D1"]).content_digest
    texts = [one["description"] for one in document["descriptions"]]
    assert f"Rests on D1@1, content ni:///sha-256;{digest}." in texts


@pytest.mark.parametrize(("name", "rule"), [("D1@1", "O6"), ("nothing", "O6")])
def test_other_things_are_no_output(asked: Asked, name: str, rule: str) -> None:
    with pytest.raises(AllianceError) as caught:
        exported(asked, name)
    assert caught.value.rule == rule

"""Use terms against studies, row by row of SPEC 5.9, and the vocabulary (D9, D15)."""

from typing import Any

import msgspec
import pytest

from ledger.encoding import b64url, unb64url
from ledger.errors import RefusedError
from ledger.merkle import leaf_hash, tree_hash
from ledger.records.authorisation import Period, StudyBody, TeamMember
from ledger.records.catalogue import Ancestry, Term, VocabularyBody
from ledger.rules.terms import OWED, PARAMETERS, TERMS, Place, check_terms, keeps, match
from ledger.rules.vocabulary import part_bytes
from tests.ledger.ledgers import Ledger
from tests.ledger.lives import DIGEST, LEADER, Life
from tests.ledger.test_rules_structure import refused

METHODS, POPULATION, ANCESTRY, GENETIC = (f"DUO:00000{n}" for n in (31, 32, 33, 38))
BIOMEDICAL, DISEASE = "DUO:0000037", "DUO:0000040"

KINDS = {
    "MONDO:cancer": {"MONDO:disease"},
    "MONDO:lung-cancer": {"MONDO:cancer", "MONDO:disease"},
    "MONDO:sepsis": {"MONDO:disease"},
    "icd10:C34": {"MONDO:lung-cancer", "MONDO:cancer", "MONDO:disease"},
}
REGIONS = {"h1": "CN-37", "h2": "CN-52", "h3": None}


def ancestors(disease: str) -> frozenset[str] | None:
    """The closure table of these tests."""
    found = KINDS.get(disease)
    return None if found is None else frozenset({disease, *found})


PLACE = Place(ancestors, REGIONS.get)


def study(*classes: str, **changes: Any) -> StudyBody:
    """A study of h1, about health when nothing else is said."""
    fields: dict[str, Any] = {
        "commercial": False,
        "compute_nodes": ("h1",),
        "design_digest": DIGEST,
        "for_profit_org": False,
        "lead_org": "h1",
        "period": Period(from_="2026-01-01", to="2026-12-31"),
        "purpose_classes": classes or (BIOMEDICAL,),
        "study_no": "S-1",
        "team": (TeamMember(org="h1", person=LEADER, role="principal-investigator"),),
    }
    return StudyBody(**{**fields, **changes})


def term(code: str, *params: str) -> Term:
    return Term(code=code, params=params)


def ill(*diseases: str) -> StudyBody:
    """A study of diseases."""
    return study(DISEASE, diseases=diseases)


GRU, HMB = term("DUO:0000042"), term("DUO:0000006")
DS = term("DUO:0000007", "MONDO:cancer")
LUNG = term("DUO:0000007", "MONDO:lung-cancer")
NEW = term("DUO:0000007", "MONDO:new")
ICD = term("DUO:0000007", "icd10:A41")
AT_H2, AT_H3 = {"compute_nodes": ("h1", "h2/n")}, {"compute_nodes": ("h3",)}
FOR = {"for_profit_org": True}
COMMERCIAL = {"commercial": True}
CANCER, LUNGS = {"diseases": ("MONDO:cancer",)}, {"diseases": ("MONDO:lung-cancer",)}

CASES: list[tuple[str, Term, StudyBody, str, str]] = [
    # name, term beside GRU (or instead, where it is a permission), study, verdict, reason's word
    ("nres", term("DUO:0000004"), study(ANCESTRY), "ALLOW", ""),
    ("gru", GRU, study(POPULATION), "ALLOW", ""),
    ("hmb biomedical", HMB, study(BIOMEDICAL), "ALLOW", ""),
    ("hmb disease", HMB, study(DISEASE), "ALLOW", ""),
    ("hmb by its diseases", HMB, study(POPULATION, **CANCER), "ALLOW", ""),
    ("hmb general", HMB, study(POPULATION), "DENY", "not-biomedical"),
    ("hmb ancestry", HMB, study(BIOMEDICAL, ANCESTRY), "DENY", "not-biomedical"),
    ("ds itself", DS, study(DISEASE, **CANCER), "ALLOW", ""),
    ("ds a kind of it", DS, study(DISEASE, **LUNGS), "ALLOW", ""),
    ("ds not what it is a kind of", LUNG, study(DISEASE, **CANCER), "DENY", "other-disease"),
    ("ds all of them", DS, ill("MONDO:cancer", "MONDO:sepsis"), "DENY", "other-disease"),
    ("ds none", DS, study(DISEASE), "DENY", "no-disease"),
    ("ds unknown", DS, ill("MONDO:new"), "HUMAN", "disease-unknown"),
    ("ds unknown but itself", NEW, ill("MONDO:new"), "ALLOW", ""),
    ("ds unknown and denied", DS, ill("MONDO:new", "MONDO:sepsis"), "DENY", "other-disease"),
    ("icd10 below", ICD, ill("icd10:A41.9"), "ALLOW", ""),
    ("icd10 itself", ICD, ill("icd10:A41"), "ALLOW", ""),
    ("icd10 without its dot", term("DUO:0000007", "icd10:A41.9"), ill("icd10:A419"), "ALLOW", ""),
    ("icd10 above", ICD, ill("icd10:A4"), "DENY", "other-disease"),
    ("icd10 beside", ICD, ill("icd10:A40.1"), "DENY", "other-disease"),
    ("icd10 is no mondo", ICD, study(DISEASE, **CANCER), "DENY", "other-disease"),
    ("icd10 by the table", DS, ill("icd10:C34"), "ALLOW", ""),
    ("poa ancestry", term("DUO:0000011"), study(ANCESTRY), "ALLOW", ""),
    ("poa with population", term("DUO:0000011"), study(ANCESTRY, POPULATION), "ALLOW", ""),
    ("poa something else", term("DUO:0000011"), study(BIOMEDICAL), "DENY", "not-ancestry"),
    ("poa and more", term("DUO:0000011"), study(ANCESTRY, BIOMEDICAL), "DENY", "not-ancestry"),
    ("npoa", term("DUO:0000044"), study(ANCESTRY), "DENY", "ancestry"),
    ("npoa in its long spelling", term("DUO:00000044"), study(ANCESTRY), "DENY", "ancestry"),
    ("npoa other", term("DUO:0000044"), study(BIOMEDICAL), "ALLOW", ""),
    ("nmds", term("DUO:0000015"), study(METHODS), "DENY", "method-development"),
    ("nmds other", term("DUO:0000015"), study(BIOMEDICAL), "ALLOW", ""),
    ("gso", term("DUO:0000016"), study(GENETIC), "HUMAN", "genetic-only"),
    ("rs", term("DUO:0000012", "ageing"), study(), "HUMAN", "research-topic"),
    ("npuncu org", term("DUO:0000018"), study(**FOR), "DENY", "for-profit"),
    ("npuncu use", term("DUO:0000018"), study(**COMMERCIAL), "DENY", "for-profit"),
    ("npuncu none", term("DUO:0000018"), study(), "ALLOW", ""),
    ("npu org", term("DUO:0000045"), study(**FOR), "DENY", "for-profit"),
    ("npu use", term("DUO:0000045"), study(**COMMERCIAL), "ALLOW", ""),
    ("ncu use", term("DUO:0000046"), study(**COMMERCIAL), "DENY", "for-profit"),
    ("ncu org", term("DUO:0000046"), study(**FOR), "ALLOW", ""),
    ("pub", term("DUO:0000019"), study(), "ALLOW", ""),
    ("mor", term("DUO:0000024", "2027-01-01"), study(), "ALLOW", ""),
    ("col", term("DUO:0000020", "h2"), study(), "HUMAN", "collaboration"),
    ("irb", term("DUO:0000021"), study(), "ALLOW", ""),
    ("gs inside", term("DUO:0000022", "CN-37"), study(), "ALLOW", ""),
    ("gs in the whole", term("DUO:0000022", "CN"), study(), "ALLOW", ""),
    ("gs outside", term("DUO:0000022", "CN-37"), study(**AT_H2), "DENY", "outside-region"),
    ("gs no prefix of letters", term("DUO:0000022", "CN-3"), study(), "DENY", "outside-region"),
    ("gs unknown", term("DUO:0000022", "CN"), study(**AT_H3), "HUMAN", "region-unknown"),
    ("gs nowhere", term("DUO:0000022", "CN"), study(compute_nodes=()), "HUMAN", "no-compute-node"),
    ("ts", term("DUO:0000025", "6"), study(), "ALLOW", ""),
    ("us", term("DUO:0000026", LEADER), study(), "ALLOW", ""),
    ("us other", term("DUO:0000026", "f" * 32), study(), "DENY", "other-users"),
    ("ps", term("DUO:0000027", "S-1"), study(), "ALLOW", ""),
    ("ps other", term("DUO:0000027", "S-2"), study(), "DENY", "other-project"),
    ("is", term("DUO:0000028", "h1"), study(), "ALLOW", ""),
    ("is other", term("DUO:0000028", "h2"), study(), "DENY", "other-institution"),
    ("rtn", term("DUO:0000029"), study(), "ALLOW", ""),
    ("cc", term("DUO:0000043"), study("EC:CARE"), "ALLOW", ""),
    ("stay", term("EC:STAY"), study(), "ALLOW", ""),
    ("egress2", term("EC:EGRESS2"), study(), "ALLOW", ""),
    ("credit", term("EC:CREDIT"), study(), "ALLOW", ""),
    ("hgr", term("EC:HGR"), study(), "ALLOW", ""),
    ("hgr foreign", term("EC:HGR"), study(foreign_party=True), "DENY", "no-filing-number"),
    ("hgr filed", term("EC:HGR", "2026-01"), study(foreign_party=True), "HUMAN", "foreign-party"),
    ("important", term("EC:IMPORTANT"), study(), "HUMAN", "important-data"),
    ("noai", term("EC:NOAI"), study(model_training=True), "DENY", "model-training"),
    ("noai other", term("EC:NOAI"), study(), "ALLOW", ""),
]  # fmt: skip
PERMISSIONS = {"DUO:0000004", "DUO:0000042", "DUO:0000006", "DUO:0000007", "DUO:0000011"}


@pytest.mark.parametrize(
    ("one", "who", "verdict", "word"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_every_row(one: Term, who: StudyBody, verdict: str, word: str) -> None:
    terms = (one,) if one.code in PERMISSIONS else (GRU, one)
    found = match([terms], who, PLACE)
    code = {"DUO:00000044": "DUO:0000044"}.get(one.code, one.code)
    assert found.verdict == verdict
    assert found.reasons == ((f"{code}/{word}",) if word else ())
    owed = (term(one.code, *one.params),) if one.code in OWED else ()
    assert found.obligations == owed


def test_every_code_has_a_case() -> None:
    assert {case[1].code for case in CASES} >= set(PARAMETERS) >= set(TERMS) | OWED


def test_method_development_on_the_disease_that_the_data_are_for() -> None:
    terms = (DS, term("DUO:0000015"))
    assert match([terms], study(METHODS, **LUNGS), PLACE).verdict == "ALLOW"
    denied = match([terms], study(METHODS, diseases=("MONDO:sepsis",)), PLACE)
    assert denied.reasons == ("DUO:0000007/other-disease", "DUO:0000015/method-development")
    unknown = match([terms], study(METHODS, diseases=("MONDO:new",)), PLACE)
    assert unknown.verdict == "HUMAN"


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (study(concerns=("paediatric",)), "study/paediatric"),
        (study("DUO:0000034", BIOMEDICAL), "study/age-category"),
        (study("DUO:0000035", BIOMEDICAL), "study/gender-category"),
    ],
)
def test_what_a_person_has_to_look_at(who: StudyBody, reason: str) -> None:
    found = match([(GRU,)], who, PLACE)
    assert (found.verdict, found.reasons) == ("HUMAN", (reason,))


def test_without_a_permission_a_person_decides() -> None:
    found = match([()], study(), PLACE)
    assert (found.verdict, found.reasons) == ("HUMAN", ("terms/no-permission",))


def test_clinical_care_is_denied_where_it_is_not_allowed() -> None:
    assert match([(GRU,)], study("EC:CARE"), PLACE).reasons == ("terms/no-clinical-care",)


def test_the_strictest_of_several_datasets_counts() -> None:
    pub, six, ten = term("DUO:0000019"), term("DUO:0000025", "6"), term("DUO:0000025", "10")
    found = match([(GRU, pub, six), (LUNG, pub, ten)], study(DISEASE, **CANCER), PLACE)
    assert found.verdict == "DENY"
    assert found.obligations == (pub, ten, six)
    assert match([(GRU,), ()], study(), PLACE).verdict == "HUMAN"


def test_a_dataset_says_no_at_the_first_disease() -> None:
    """Every node matches again what a stranger asks for: long lists must not keep it busy."""
    long = tuple(f"icd10:A{n:02}" for n in range(64))
    sets = [[term("DUO:0000007", *(f"icd10:B{n}{m}" for m in range(64)))] for n in range(64)]
    looks = 0

    def unknown(_disease: str) -> None:
        nonlocal looks
        looks += 1

    found = match(sets, ill(*long), Place(unknown, REGIONS.get))
    assert found.verdict == "DENY"
    assert looks == len(sets)


# --- terms that may be tagged ---


@pytest.mark.parametrize(
    "terms",
    [
        (term("DUO:0000001"),),
        (term("DUO:0000017"),),
        (term("EC:OTHER"),),
        (GRU, GRU),
        (term("DUO:0000044"), term("DUO:00000044")),
        (term("DUO:0000007"),),
        (term("DUO:0000042", "x"),),
        (term("DUO:0000025", "six"),),
        (term("DUO:0000025", "0"),),
        (term("DUO:0000025", "9999"),),
        (term("DUO:0000024", "2026-13-01"),),
        (term("DUO:0000024", "2026-01-01", "2026-01-02"),),
    ],
)
def test_terms_that_may_not_be_tagged(terms: tuple[Term, ...]) -> None:
    with pytest.raises(RefusedError) as caught:
        check_terms(terms)
    assert caught.value.rule == "D9"


def test_every_case_may_be_tagged() -> None:
    for _name, one, *_rest in CASES:
        check_terms((one,))


def test_versions_with_other_terms_are_refused() -> None:
    life = Life()
    life.dataset()
    body = msgspec.structs.replace(
        life.blocks_body(life.versions["D1"]), version="2", terms=(term("DUO:0000001"),)
    )
    assert refused(life, life.sign("dataset-version", body)) == "D9"


# --- terms of derived data ---


@pytest.mark.parametrize(
    ("own", "asked", "kept"),
    [
        (GRU, GRU, True),
        (HMB, GRU, True),
        (GRU, HMB, False),
        (DS, HMB, True),
        (DS, term("DUO:0000004"), True),
        (LUNG, DS, True),
        (DS, LUNG, False),
        (term("DUO:0000011"), GRU, False),
        (term("DUO:0000018"), term("DUO:0000045"), True),
        (term("DUO:0000045"), term("DUO:0000018"), False),
        (term("DUO:0000025", "6"), term("DUO:0000025", "12"), True),
        (term("DUO:0000025", "12"), term("DUO:0000025", "6"), False),
        (term("DUO:0000024", "2027-01-01"), term("DUO:0000024", "2026-01-01"), True),
        (term("DUO:0000024", "2025-01-01"), term("DUO:0000024", "2026-01-01"), False),
        (term("DUO:0000022", "CN-37"), term("DUO:0000022", "CN"), True),
        (term("DUO:0000022", "CN"), term("DUO:0000022", "CN-37"), False),
        (term("DUO:0000028", "h1"), term("DUO:0000028", "h1", "h2"), True),
        (term("DUO:0000028", "h1", "h2"), term("DUO:0000028", "h1"), False),
        (term("DUO:0000020", "h1", "h2"), term("DUO:0000020", "h1"), True),
        (term("DUO:0000020", "h2"), term("DUO:0000020", "h1"), False),
        (term("DUO:00000044"), term("DUO:0000044"), True),
    ],
)
def test_what_is_as_strict(own: Term, asked: Term, kept: bool) -> None:
    assert keeps((own,), asked, ancestors) is kept
    assert keeps((), asked, ancestors) is False


# --- the vocabulary ---

ROWS = [
    (Ancestry(ancestors=("MONDO:disease",), id="MONDO:cancer"),),
    (Ancestry(ancestors=("MONDO:cancer", "MONDO:disease"), id="MONDO:lung-cancer"),),
]
LEAVES = [leaf_hash(part_bytes(rows)) for rows in ROWS]
ROOT = b64url(tree_hash(LEAVES))


def part(number: int, **changes: Any) -> VocabularyBody:
    """One of the two parts, with the other's hash as its path."""
    fields: dict[str, Any] = {
        "part": number,
        "parts": 2,
        "path": (b64url(LEAVES[1 - number]),),
        "root": ROOT,
        "rows": ROWS[number],
    }
    return VocabularyBody(**{**fields, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"rows": (Ancestry(id="MONDO:cancer"),)},
        {"part": 1},
        {"path": ()},
        {"parts": 3},
        {"root": DIGEST},
    ],
)
def test_parts_of_another_vocabulary_are_refused(change: dict[str, Any]) -> None:
    ledger = Ledger()
    raw = ledger.sign("vocabulary", part(0, **change), by="committee")
    assert refused(ledger, raw) == "D15"


def test_the_policy_names_the_vocabulary_that_counts() -> None:
    life = Life()
    life.dataset(terms=(DS,))
    life.study(purpose_classes=(DISEASE,), diseases=("MONDO:lung-cancer",))
    for number in (0, 1):
        life.put("vocabulary", part(number), by="committee")
    assert life.match("D1").reasons == ("DUO:0000007/disease-unknown",)
    assert life.match("D1").vocabulary is None
    life.policy(vocabulary=ROOT)
    found = life.match("D1")
    assert (found.verdict, found.vocabulary) == ("ALLOW", ROOT)
    assert unb64url(ROOT, 32) == tree_hash(LEAVES)

"""Use terms against studies: `match` says ALLOW, HUMAN or DENY, why, and what is owed (domain.md,
decision 8; SPEC 5.9). It decides nothing by itself.

Codes are DUO's, and the alliance's own under `EC:`. Of several datasets the strictest verdict
counts, and every reason and obligation.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from ledger.encoding import decode_date
from ledger.errors import MalformedError, RefusedError
from ledger.records.authorisation import Match, StudyBody
from ledger.records.catalogue import Term

Verdict = Literal["ALLOW", "HUMAN", "DENY"]

NRES, GRU, HMB, DS = "DUO:0000004", "DUO:0000042", "DUO:0000006", "DUO:0000007"
POA, NPOA, NMDS, GSO, RS = "DUO:0000011", "DUO:0000044", "DUO:0000015", "DUO:0000016", "DUO:0000012"
NPUNCU, NPU, NCU = "DUO:0000018", "DUO:0000045", "DUO:0000046"
PUB, MOR, COL, IRB = "DUO:0000019", "DUO:0000024", "DUO:0000020", "DUO:0000021"
GS, TS, US, PS, IS = "DUO:0000022", "DUO:0000025", "DUO:0000026", "DUO:0000027", "DUO:0000028"
RTN, CC = "DUO:0000029", "DUO:0000043"
STAY, EGRESS2, HGR = "EC:STAY", "EC:EGRESS2", "EC:HGR"
IMPORTANT, CREDIT, NOAI = "EC:IMPORTANT", "EC:CREDIT", "EC:NOAI"

METHODS, POPULATION, ANCESTRY = "DUO:0000031", "DUO:0000032", "DUO:0000033"
AGE, GENDER, CARE = "DUO:0000034", "DUO:0000035", "EC:CARE"
BIOMEDICAL: Final = frozenset({"DUO:0000037", "DUO:0000038", "DUO:0000039", "DUO:0000040"})
"""Classes of investigation that are about health: biomedical, genetic, drug development, disease.
"""

PERMISSIONS: Final = frozenset({NRES, GRU, HMB, DS, POA})
OWED: Final = frozenset({PUB, MOR, COL, IRB, TS, RTN, EGRESS2, CREDIT})
"""Terms that leave something to be done by whoever uses the data: they become obligations."""

PARAMETERS: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys((NRES, GRU, HMB, POA, NPOA, NMDS, GSO, NPUNCU, NPU, NCU), (0, 0)),
    **dict.fromkeys((PUB, IRB, RTN, CC, STAY, EGRESS2, IMPORTANT, CREDIT, NOAI), (0, 0)),
    **dict.fromkeys((DS, RS, COL, GS, US, PS, IS), (1, 64)),
    **dict.fromkeys((MOR, TS), (1, 1)),
    HGR: (0, 1),
}
"""How many parameters each code takes. What is not here, like DUO's two abstract codes, may not be
tagged.
"""

ALIASES: Final = {"DUO:00000044": NPOA}
"""DUO's own file spells one id with eight digits."""

Ancestors = Callable[[str], frozenset[str] | None]
"""What a disease is a kind of, itself included; None where no table knows it."""


class Place(NamedTuple):
    """What the alliance knows besides the study: kinds of diseases, and where its members are."""

    ancestors: Ancestors
    region: Callable[[str], str | None]


class Answer(NamedTuple):
    """What one term says."""

    verdict: Verdict
    reason: str


def code_of(term: Term) -> str:
    """The code under its one spelling."""
    return ALIASES.get(term.code, term.code)


def check_terms(terms: Sequence[Term]) -> None:
    """D9: every code may be tagged, once, with as many parameters as it takes, of their kind."""
    seen: set[str] = set()
    for term in terms:
        code = code_of(term)
        least, most = PARAMETERS.get(code, (1, 0))
        if code in seen or not least <= len(term.params) <= most or not _is_read(code, term.params):
            raise RefusedError("D9", code=term.code)
        seen.add(code)


def _is_read(code: str, params: tuple[str, ...]) -> bool:
    """Whether a date is a date, and a number of months a number."""
    if code == TS:
        return params[0].isascii() and params[0].isdigit() and 0 < int(params[0]) <= 1_200
    if code == MOR:
        try:
            decode_date(params[0])
        except MalformedError:
            return False
    return True


def match(datasets: Iterable[Sequence[Term]], study: StudyBody, place: Place) -> Match:
    """The verdict on a study that asks for these datasets, given by their terms."""
    answers: set[Answer] = set(_about_the_study(study))
    owed: dict[tuple[str, tuple[str, ...]], Term] = {}
    for terms in datasets:
        known = {code_of(term): term for term in terms}
        answers.update(_about_the_terms(known, study, place))
        for code in known.keys() & OWED:
            params = known[code].params
            owed[code, params] = Term(code=code, params=params)
    verdicts = {answer.verdict for answer in answers}
    return Match(
        obligations=tuple(owed[key] for key in sorted(owed)),
        reasons=tuple(sorted({answer.reason for answer in answers})),
        verdict="DENY" if "DENY" in verdicts else "HUMAN" if "HUMAN" in verdicts else "ALLOW",
    )


def _about_the_study(study: StudyBody) -> Iterator[Answer]:
    """What a person has to look at, whatever the data."""
    for concern in study.concerns:
        yield Answer("HUMAN", f"study/{concern}")
    for code, word in ((AGE, "age-category"), (GENDER, "gender-category")):
        if code in study.purpose_classes:
            yield Answer("HUMAN", f"study/{word}")


def _about_the_terms(known: Mapping[str, Term], study: StudyBody, place: Place) -> Iterator[Answer]:
    """What the terms of one dataset say."""
    if not known.keys() & PERMISSIONS:
        yield Answer("HUMAN", "terms/no-permission")
    if CARE in study.purpose_classes and CC not in known:
        yield Answer("DENY", "terms/no-clinical-care")
    for code, term in known.items():
        ask = TERMS.get(code)
        if ask is not None:
            verdict, word = ask(term, study, place, known)
            if verdict != "ALLOW":
                yield Answer(verdict, f"{code}/{word}")


# --- one function for each term that can say no -------------------------------------------------

Said = tuple[Verdict, str]
Ask = Callable[[Term, StudyBody, Place, Mapping[str, Term]], Said]
YES: Final[Said] = ("ALLOW", "")


def _deny(denied: bool, word: str) -> Said:
    return ("DENY", word) if denied else YES


def _hmb(_term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    classes = set(study.purpose_classes)
    about_health = bool(classes & BIOMEDICAL or study.diseases)
    return _deny(ANCESTRY in classes or not about_health, "not-biomedical")


def _ds(term: Term, study: StudyBody, place: Place, _known: Mapping[str, Term]) -> Said:
    """Every disease of the study is, or is a kind of, one of the set (the rule of DUOS)."""
    if not study.diseases:
        return ("DENY", "no-disease")
    allowed = frozenset(term.params)
    unknown = False
    for disease in study.diseases:
        kinds = kinds_of(disease, place.ancestors)
        if not _is_one_of(disease, kinds, allowed):
            if kinds is not None:
                return ("DENY", "other-disease")
            unknown = True
    return ("HUMAN", "disease-unknown") if unknown else YES


def kinds_of(disease: str, ancestors: Ancestors) -> frozenset[str] | None:
    """What a disease is a kind of by the table. An ICD-10 code is always known: by its prefixes."""
    found = ancestors(disease)
    return frozenset({disease}) if found is None and disease.startswith("icd10:") else found


def _is_one_of(disease: str, kinds: frozenset[str] | None, allowed: frozenset[str]) -> bool:
    """Whether a disease, or what it is a kind of, is allowed: by name, or as an ICD-10 code by one
    that begins it.
    """
    names = (kinds or frozenset()) | {disease}
    if names & allowed:
        return True
    above = {code for code in map(_icd10, allowed) if code}
    codes = [code for code in map(_icd10, names) if code] if above else []
    return any(code[:length] in above for code in codes for length in range(1, len(code) + 1))


def _icd10(disease: str) -> str:
    """An ICD-10 code without its dots; nothing of another vocabulary's."""
    return disease[6:].replace(".", "") if disease.startswith("icd10:") else ""


def _poa(_term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    classes = set(study.purpose_classes)
    return _deny(ANCESTRY not in classes or not classes <= {POPULATION, ANCESTRY}, "not-ancestry")


def _npoa(_term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    return _deny(ANCESTRY in study.purpose_classes, "ancestry")


def _nmds(_term: Term, study: StudyBody, place: Place, known: Mapping[str, Term]) -> Said:
    """No development of methods, unless it is about the disease that the data are for."""
    if METHODS not in study.purpose_classes:
        return YES
    diseases = known.get(DS)
    verdict = "DENY" if diseases is None else _ds(diseases, study, place, known)[0]
    return YES if verdict == "ALLOW" else (verdict, "method-development")


def _for_profit(term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    code = code_of(term)
    organisation = study.for_profit_org and code != NCU
    return _deny(organisation or (study.commercial and code != NPU), "for-profit")


def _gs(term: Term, study: StudyBody, place: Place, _known: Mapping[str, Term]) -> Said:
    """All computing takes place inside the regions: `CN-37` lies in `CN`."""
    if not study.compute_nodes:
        return ("HUMAN", "no-compute-node")
    regions = [place.region(node.partition("/")[0]) for node in study.compute_nodes]
    if any(region is not None and not _lies_in(region, term.params) for region in regions):
        return ("DENY", "outside-region")
    return ("HUMAN", "region-unknown") if None in regions else YES


def _lies_in(region: str, regions: tuple[str, ...]) -> bool:
    return any(region == one or region.startswith(f"{one}-") for one in regions)


def _us(term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    return _deny(not {one.person for one in study.team} <= set(term.params), "other-users")


def _ps(term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    return _deny(study.study_no not in term.params, "other-project")


def _is(term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    orgs = {study.lead_org, *(one.org for one in study.team)}
    return _deny(not orgs <= set(term.params), "other-institution")


def _hgr(term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    """A foreign party needs a filing number first (domain.md D5); with one, a person looks."""
    if not study.foreign_party:
        return YES
    return ("HUMAN", "foreign-party") if term.params else ("DENY", "no-filing-number")


def _noai(_term: Term, study: StudyBody, _place: Place, _known: Mapping[str, Term]) -> Said:
    return _deny(study.model_training, "model-training")


def _human(word: str) -> Ask:
    return lambda _term, _study, _place, _known: ("HUMAN", word)


TERMS: Final[dict[str, Ask]] = {
    COL: _human("collaboration"),
    DS: _ds,
    GS: _gs,
    GSO: _human("genetic-only"),
    HGR: _hgr,
    HMB: _hmb,
    IMPORTANT: _human("important-data"),
    IS: _is,
    NCU: _for_profit,
    NMDS: _nmds,
    NOAI: _noai,
    NPOA: _npoa,
    NPU: _for_profit,
    NPUNCU: _for_profit,
    POA: _poa,
    PS: _ps,
    RS: _human("research-topic"),
    US: _us,
}
"""The terms that are asked. The others allow (NRES, GRU, CC, STAY), or are owed (OWED)."""


# --- terms of what is derived --------------------------------------------------------------------

STRICTER: Final[dict[str, frozenset[str]]] = {
    NRES: frozenset({NRES, GRU, HMB, DS, POA}),
    GRU: frozenset({GRU, HMB, DS}),
    HMB: frozenset({HMB, DS}),
    NPU: frozenset({NPU, NPUNCU}),
    NCU: frozenset({NCU, NPUNCU}),
}
"""Which codes are at least as strict as a code (DS under HMB under GRU, in DUO's hierarchy)."""


def keeps(own: Iterable[Term], asked: Term, ancestors: Ancestors) -> bool:
    """Whether terms are at least as strict as one that a custodian asks for."""
    code = code_of(asked)
    stricter = STRICTER.get(code, frozenset({code}))
    return any(
        code_of(term) in stricter
        and (code_of(term) != code or _is_narrower(code, term.params, asked.params, ancestors))
        for term in own
    )


def _is_narrower(
    code: str, own: tuple[str, ...], asked: tuple[str, ...], ancestors: Ancestors
) -> bool:
    """Whether these parameters of a code allow no more than those."""
    if code == DS:
        allowed = frozenset(asked)
        return all(_is_one_of(one, kinds_of(one, ancestors), allowed) for one in own)
    if code == TS:
        return int(own[0]) <= int(asked[0])
    if code == MOR:
        return own[0] >= asked[0]
    if code == GS:
        return all(_lies_in(one, asked) for one in own)
    if code in (COL, HGR):
        return set(own) >= set(asked)
    return set(own) <= set(asked)

"""A chain on which a data use can live its life: three members, an ethics committee, a study's
people; each step with defaults that pass, so that a test spoils one thing.

    life = Life()
    life.permit()                       # dataset, study, ethics, request, reviews, decision
    life.step("activate")
    assert life.access() == ()
"""

from typing import Any

import msgspec

from ledger.crypto import Signer, signer_from_seed
from ledger.encoding import b64url, encode_time, unb64url
from ledger.records.authorisation import (
    AccessDecisionBody,
    AccessRequestBody,
    EthicsBody,
    Obligation,
    Period,
    PermitStatusBody,
    Reasons,
    ReviewBody,
    StudyBody,
    StudyEventBody,
    TeamMember,
)
from ledger.records.catalogue import DatasetBody, DatasetVersionBody, Term
from ledger.records.envelope import Ref
from ledger.records.governance import (
    EndorseBody,
    KeyBody,
    ResolutionBody,
    Votes,
)
from ledger.records.use import AccessBody, ComputeRunBody, Job, Source, Used
from ledger.rules import RIGHTS
from ledger.rules.draft import POLICY, At, Draft
from ledger.rules.requests import match_of
from ledger.rules.values import PolicyState, VersionState
from tests.ledger.ledgers import Ledger
from tests.support.world import GENESIS_MS, World, describe_key, make_world, seed

DIGEST = b64url(bytes(range(32)))
NOW = GENESIS_MS + 60_000
DAY_MS = 86_400_000
LEADER, ANALYST, STRANGER = (f"{n:032x}" for n in (1, 2, 3))
GRU = (Term(code="DUO:0000042"),)


def person_key(pid: str) -> Signer:
    """The signer of a person, from its pid."""
    return signer_from_seed(seed("self", pid))


class Life(Ledger):
    """A ledger with everybody who takes part: h1 leads the study and holds D1, h2 holds D2."""

    def __init__(self, world: World | None = None) -> None:
        super().__init__(world or make_world(("h1", "h2", "h3")))
        self.now = NOW
        self.seq = 0
        self.study_leaf = self.ethics_leaf = self.request_leaf = self.decision_leaf = ""
        self.versions: dict[str, str] = {}
        self.ethics_key = signer_from_seed(seed("ethics", "h1"))
        self.register("h1", "ethics", "office", self.ethics_key)
        for org, pid in (("h1", LEADER), ("h2", ANALYST)):
            self.register(org, "self", pid, person_key(pid))

    # --- what every step needs ---

    def put(self, kind: str, body: Any, **fields: Any) -> str:  # noqa: ANN401
        """A record now; its leaf hash."""
        leaf = self.record(kind, body, time_ms=self.now, **fields)
        self.now = max(self.now, self.tip.time_ms)
        return leaf

    def sign(self, kind: str, body: Any, **fields: Any) -> bytes:  # noqa: ANN401
        """A signed record of now, that may be included for a day."""
        if kind in RIGHTS:
            fields.setdefault("not_after", encode_time(self.now + DAY_MS))
        return super().sign(kind, body, **fields)

    def register(self, org: str, capacity: str, subject: str, signer: Signer) -> None:
        """Register a key."""
        key = describe_key(
            signer,
            capacity=capacity,
            chain=self.world.genesis.tip.chain,
            org=org,
            subject=subject,
            valid_from=encode_time(GENESIS_MS),
        )
        self.put("key", KeyBody(action="register", key=key, kid=b64url(signer.kid)), org=org)

    def policy(self, **changes: Any) -> None:
        """A policy of the committee, in force from the next block on."""
        newest = self.tip.state.get(POLICY)
        assert isinstance(newest, PolicyState)
        refs = (self.agreed_resolution(), Ref(leaf=newest.leaf, rel="previous"))
        body = msgspec.structs.replace(
            newest.body,
            effective_from=encode_time(self.now + 1_000),
            version=newest.body.version + 1,
            **changes,
        )
        self.endorse(self.put("policy", body, by="committee", refs=refs), "h2", "committee")
        self.now += 2_000

    def agreed_resolution(self, kind: Any = "decide") -> Ref:  # noqa: ANN401
        """A resolution in effect."""
        body = ResolutionBody(
            kind=kind,
            meeting_date="2026-01-01",
            no=f"RES-{len(self.applied)}",
            present=3,
            votes=Votes(abstain=0, against=0, in_favour=3),
        )
        leaf = self.put("resolution", body, by="committee")
        self.endorse(leaf, "h2", "committee")
        return Ref(leaf=leaf, rel="resolution")

    def blocks_body(self, leaf: str) -> Any:  # noqa: ANN401
        """The body of a record on the chain."""
        (entry,) = [
            entry
            for block in self.applied
            for entry in block.entries
            if entry.leaf == unb64url(leaf, 32)
        ]
        return entry.record.body

    def endorse(
        self,
        target: str,
        org: str,
        by: str | Signer = "officer",
        verdict: Any = "approve",  # noqa: ANN401
    ) -> str:
        """An endorsement; how the decision stands after it."""
        capacities: dict[Any, Any] = {"officer": "so", "committee": "dac"}
        body = EndorseBody(capacity=capacities.get(by, "self"), target=target, verdict=verdict)
        self.put("endorse", body, by=by, org=org)
        return self.decision(target).status

    def endorse_as(self, target: str, org: str, signer: Signer, capacity: Any) -> str:  # noqa: ANN401
        """An endorsement with any key."""
        body = EndorseBody(capacity=capacity, target=target, verdict="approve")
        self.put("endorse", body, by=signer, org=org)
        return self.decision(target).status

    # --- the steps, in order ---

    def dataset(self, org: str = "h1", series: str = "D1", **changes: Any) -> str:
        """A data resource and its version 1."""
        terms = changes.pop("terms", GRU)
        body = DatasetBody(custodian=org, openness="conditional", series_id=series)
        self.put("dataset", body, org=org)
        fields: dict[str, Any] = {
            "class_level": "general",
            "content_digest": DIGEST,
            "digest_scope": "files",
            "gbt39725_level": 2,
            "hgr_info": False,
            "identifiability": "deid",
            "records_bucket": 1000,
            "series_id": series,
            "terms": terms,
            "version": "1",
        }
        version = DatasetVersionBody(**{**fields, **changes})
        self.versions[series] = self.put("dataset-version", version, org=org)
        return self.versions[series]

    def study_body(self, **changes: Any) -> StudyBody:
        """A study of h1 with an analyst of h2."""
        fields: dict[str, Any] = {
            "commercial": False,
            "compute_nodes": ("h1/tre",),
            "design_digest": DIGEST,
            "for_profit_org": False,
            "lead_org": "h1",
            "period": Period(from_="2026-01-01", to="2027-12-31"),
            "purpose_classes": ("DUO:0000037",),
            "study_no": "S-1",
            "team": (
                TeamMember(org="h1", person=LEADER, role="principal-investigator"),
                TeamMember(org="h2", person=ANALYST, role="analyst"),
            ),
        }
        return StudyBody(**{**fields, **changes})

    def study(self, **changes: Any) -> str:
        """A registered study: signed by the officer, endorsed by the principal investigator."""
        self.study_leaf = self.put("study", self.study_body(**changes))
        self.endorse(self.study_leaf, "h1", person_key(LEADER))
        return self.study_leaf

    def ethics_body(self, **changes: Any) -> EthicsBody:
        """An approval of the study for two years."""
        fields: dict[str, Any] = {
            "approval_id": "EA-1",
            "committee_org": "h1",
            "decision": "approved",
            "status": "grant",
            "study": self.study_leaf,
            "valid_from": "2026-01-01",
            "valid_until": "2027-12-31",
        }
        return EthicsBody(**{**fields, **changes})

    def ethics(self, **changes: Any) -> str:
        """What the ethics committee of h1 says; its leaf is kept of a grant."""
        leaf = self.put("ethics", self.ethics_body(**changes), by=self.ethics_key)
        if changes.get("status", "grant") == "grant":
            self.ethics_leaf = leaf
        return leaf

    def match(self, *series: str) -> Any:  # noqa: ANN401
        """What the rules say of the study and these data."""
        at = At(self.tip.height + 1, self.now)
        draft = Draft(self.tip.state, {})
        versions = [self.value("version-leaf", self.versions[one]) for one in series]
        assert all(isinstance(version, VersionState) for version in versions)
        study = next(
            state
            for state in [self.value("study", "S-1"), self.value("study", "S-2")]
            if state is not None and state.leaf == self.study_leaf
        )
        return match_of(draft, versions, study.body, at)

    def request_body(self, **changes: Any) -> AccessRequestBody:
        """The study asks for all data."""
        series = changes.pop("series", tuple(self.versions))
        fields: dict[str, Any] = {
            "datasets": tuple(self.versions[one] for one in series),
            "duration_months": 12,
            "ethics": (self.ethics_leaf,),
            "linkage": False,
            "request_id": "R-1",
            "scenario": "research",
            "study": self.study_leaf,
        }
        if "match" not in changes:
            fields["match"] = self.match(*series)
        return AccessRequestBody(**{**fields, **changes})

    def request(self, **changes: Any) -> str:
        """A request, by both applicants."""
        self.request_leaf = self.put("access-request", self.request_body(**changes))
        self.endorse(self.request_leaf, "h1", person_key(LEADER))
        return self.request_leaf

    def review(
        self,
        org: str = "h2",
        stage: Any = "scientific",  # noqa: ANN401
        by: Any = "committee",  # noqa: ANN401
        **changes: Any,
    ) -> str:
        """An opinion on the request."""
        fields: dict[str, Any] = {
            "coi": "none",
            "opinion": "approve",
            "request": self.request_leaf,
            "stage": stage,
        }
        return self.put("review", ReviewBody(**{**fields, **changes}), org=org, by=by)

    def one_review(self) -> tuple[str, ...]:
        """The first opinion that is not about completeness."""
        opinions = self.value("request", "R-1").opinions
        return tuple(one.leaf for one in opinions if one.stage != "completeness")[:1]

    def reviews(self) -> tuple[str, ...]:
        """Completeness, and the two opinions that the policy asks for."""
        self.review("h3", "completeness")
        return (self.review("h2"), self.review("h3"))

    def decision_body(self, **changes: Any) -> AccessDecisionBody:
        """An approval of the whole request."""
        if changes.get("decision", "approve") != "approve":
            fields: dict[str, Any] = {"reason_codes": ("incomplete",)}
        else:
            match = self.value("request", "R-1").match
            fields = {
                "compute_nodes": ("h1/tre",),
                "datasets": tuple(self.versions.values()),
                "decision": "approve",
                "obligations": tuple(
                    Obligation(code=term.code, params=term.params) for term in match.obligations
                ),
                "permit_id": "P-1",
                "persons": (LEADER, ANALYST),
                "purposes": ("DUO:0000037",),
                "reasons": Reasons(
                    necessity="min-set",
                    pseudonymisation="deid",
                    purpose="research",
                    qualification="clinician",
                    safeguards="tre",
                ),
                "valid_from": "2026-01-01",
                "valid_until": "2026-12-31",
            }
        return AccessDecisionBody(**{"request": self.request_leaf, **fields, **changes})

    def decide(self, refs: tuple[Ref, ...] = (), **changes: Any) -> str:
        """A decision by two of three members, and by every custodian of its data."""
        leaf = self.put("access-decision", self.decision_body(**changes), by="committee", refs=refs)
        self.endorse(leaf, "h2", "committee")
        for org in ("h1", "h2"):
            if self.decision(leaf).status == "PENDING":
                self.endorse(leaf, org, "officer")
        if changes.get("decision", "approve") == "approve" and "amends" not in changes:
            self.decision_leaf = leaf
        return leaf

    def permit(self, **changes: Any) -> str:
        """All steps up to an approved permit; `changes` are of the decision."""
        if not self.versions:
            self.dataset()
        self.study()
        self.ethics()
        self.request()
        reviews = self.reviews()
        return self.decide(refs=(self.agreed_resolution(),), reviews=reviews, **changes)

    def step(self, action: Any, by: Any = "officer", org: str = "h1", **fields: Any) -> str:  # noqa: ANN401
        """A step in the life of the permit; its leaf hash."""
        at = fields.pop("effective_at", None)
        return self.put("permit-status", self.step_body(action, at), by=by, org=org, **fields)

    def step_body(self, action: Any, effective_at: str | None = None) -> PermitStatusBody:  # noqa: ANN401
        """A step in the life of the permit."""
        return PermitStatusBody(
            action=action,
            effective_at=effective_at or encode_time(self.now),
            permit=self.decision_leaf,
        )

    # --- use ---

    def access(self, org: str = "h1", at_ms: int | None = None, **changes: Any) -> tuple[str, ...]:
        """One access under the permit; its findings."""
        self.seq += 1
        fields: dict[str, Any] = {
            "action": "read",
            "activity": "VIEW",
            "channel": "query",
            "dataset": "D1@1",
            "outcome": "ok",
            "permit": "P-1",
            "person": ANALYST,
            "source": Source(seq=self.seq, system="gateway"),
        }
        body = AccessBody(**{**fields, **changes})
        self.put("access", body, by="system", org=org, at_ms=at_ms or self.now)
        return self.findings

    def run(self, state: Any = "completed", **changes: Any) -> tuple[str, ...]:  # noqa: ANN401
        """One record of a run under the permit; its findings."""
        org = changes.pop("org", "h1")
        fields: dict[str, Any] = {
            "compute_node": "h1/tre",
            "ended": encode_time(self.now),
            "job": Job(name="model", namespace="sepsis"),
            "permit": "P-1",
            "person": ANALYST,
            "run_id": "run-1",
            "started": encode_time(self.now),
            "state": state,
            "used": (Used(kind="dataset", name="D1@1"),),
        }
        body = ComputeRunBody(**{**fields, **changes})
        self.put("compute-run", body, by="system", org=org, at_ms=self.now)
        return self.findings

    def event(self, kind: Any, **changes: Any) -> tuple[str, ...]:  # noqa: ANN401
        """Something that happens to the study; its findings."""
        org = changes.pop("org", "h1")
        body = StudyEventBody(kind=kind, study=changes.pop("study", self.study_leaf), **changes)
        self.put("study-event", body, by="officer", org=org, at_ms=self.now)
        return self.findings

"""The second half of the life of a data use: runs, results, what leaves, contributions, notices and
certificates; each step with defaults that pass, so that a test spoils one thing.

    life = Yield()
    life.finished()                     # permit active, access, run, result
    life.released()                     # request, two reviews, decision
    life.certified()                    # contributions, notice, certificate
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ledger.crypto import Signer, signer_from_seed
from ledger.encoding import b64url, encode_time
from ledger.errors import RefusedError
from ledger.provenance import Node
from ledger.records.catalogue import IndicatorVersionBody, Party
from ledger.records.envelope import Ref
from ledger.records.governance import DEFAULT_ATTRIBUTION, ResolutionBody, Votes
from ledger.records.outputs import (
    EgressDecisionBody,
    EgressRequestBody,
    EgressReviewBody,
    FileVote,
    PublicationBody,
    ResultBody,
    ResultFile,
    SdcEvidence,
    SdcOutput,
)
from ledger.records.rights import (
    CertificateBody,
    ContributionBody,
    ContributionConfirmBody,
    DisputeBody,
    DisputeRulingBody,
    NoticeBody,
    Right,
)
from ledger.rules.credit import credit_of
from ledger.rules.draft import At, Draft
from ledger.rules.graph import Graph
from tests.ledger.lives import ANALYST, DAY_MS, LEADER, Life, person_key
from tests.support.world import seed

FILES = tuple(b64url(bytes([n]) * 32) for n in (7, 8))
OUTPUT = b64url(bytes([9]) * 32)


def checker_key(name: str) -> Signer:
    """The signer of an output checker."""
    return signer_from_seed(seed("checker", name))


def refused(rule: str, step: Callable[[], object]) -> None:
    """The step is refused with this rule."""
    with pytest.raises(RefusedError) as found:
        step()
    assert found.value.rule == rule, found.value


class Yield(Life):
    """A life with two output checkers (of h2 and h3) and one of the author's own house."""

    def __init__(self) -> None:
        super().__init__()
        self.later = ""
        self.run_leaf = self.result_leaf = self.egress_leaf = self.notice_leaf = ""
        for org, name in (("h1", "c1"), ("h2", "c2"), ("h3", "c3")):
            self.register(org, "checker", name, checker_key(name))

    @property
    def leaf(self) -> str:
        """The leaf hash of the record that was put last."""
        return b64url(self.last.entries[0].leaf)

    def node(self, leaf: str) -> Node:
        """The node of a record."""
        return self.value("node", leaf)  # type: ignore[no-any-return]

    def draft(self) -> Draft:
        """The state of now, to read."""
        return Draft(self.tip.state, {}, self.tip.configs)

    def at(self) -> At:
        """The next block, now."""
        return At(self.tip.height + 1, self.now)

    def credit(self, target: str | None = None) -> dict[str, int]:
        """Basis points by party, as of now."""
        found = credit_of(self.draft(), target or self.result_leaf, self.at())
        return {row.party: row.basis_points for row in found.shares.rows}

    def used(self, run: str) -> dict[str, bool]:
        """The datasets that a run used, by name, and whether each use has weight."""
        graph = Graph(self.draft())
        node = graph.find(run)
        assert node is not None
        return {self.node(edge.leaf).name: edge.counts for edge in node.edges if edge.rel == "used"}

    # --- up to a result ---

    def active(self) -> None:
        """A permit in force."""
        self.permit()
        self.step("activate")

    def finished(self, **changes: Any) -> str:
        """A permit in force, an access, a run under it and its result; the result's leaf."""
        self.active()
        self.access()
        self.run(generated=(OUTPUT, *FILES))
        self.run_leaf = self.leaf
        return self.result(**changes)

    def result_body(self, **changes: Any) -> ResultBody:
        """The result of the run."""
        files = tuple(
            ResultFile(digest=digest, media="text/csv", size_bucket="1-9kB") for digest in FILES
        )
        fields: dict[str, Any] = {
            "content_digest": OUTPUT,
            "files": files,
            "generated_by": (self.run_leaf,),
            "kind": "paper",
            "result_id": "RES-1",
            "study": self.study_leaf,
        }
        return ResultBody(**{**fields, **changes})

    def result(self, **changes: Any) -> str:
        """A registered result."""
        self.result_leaf = self.put(
            "result", self.result_body(**changes), by=person_key(LEADER), at_ms=self.now
        )
        return self.result_leaf

    def indicator(self) -> str:
        """A version of an indicator."""
        body = IndicatorVersionBody(code="sofa", definition_digest=OUTPUT, org="h3", version="1")
        return self.put("indicator-version", body, org="h3")

    # --- what leaves ---

    def egress(self, by: Signer | None = None, org: str = "h2", **changes: Any) -> str:
        """The analyst asks that both files may leave."""
        output = SdcOutput(
            statbarn="frequencies", status=changes.pop("sdc", "pass"), uid="output_0"
        )
        fields: dict[str, Any] = {
            "author": ANALYST,
            "destination_class": "publication",
            "files": FILES,
            "permit": "P-1",
            "request_id": "E-1",
            "result": self.result_leaf,
            "sdc": SdcEvidence(
                outputs=(output,), profile_hash=OUTPUT, tool="acro", version="1.0.2"
            ),
        }
        body = EgressRequestBody(**{**fields, **changes})
        more = {"not_after": self.later} if self.later else {}
        signer = by or person_key(ANALYST)
        self.egress_leaf = self.put("egress-request", body, by=signer, org=org, **more)
        return self.egress_leaf

    def egress_late(self, not_after: str) -> str:
        """The same at a time when rights need a later `not_after`."""
        self.later = not_after
        return self.egress()

    def check(self, name: str = "c2", *votes: str, **changes: Any) -> tuple[str, ...]:
        """A review of both files; its findings."""
        given: Any = votes or ("approve", "approve")
        fields: dict[str, Any] = {
            "checklist_hash": OUTPUT,
            "file_votes": tuple(
                FileVote(digest=digest, vote=vote)
                for digest, vote in zip(FILES, given, strict=False)
            ),
            "request": self.egress_leaf,
        }
        org = changes.pop("org", f"h{name[-1]}")
        by = changes.pop("by", checker_key(name))
        body = EgressReviewBody(**{**fields, **changes})
        self.put("egress-review", body, by=by, org=org, at_ms=self.now)
        return self.findings

    def release(self, decision: Any = "release", name: str = "c3", **changes: Any) -> str:  # noqa: ANN401
        """A decision of an output checker."""
        released = FILES if decision == "release" else ()
        fields = {"decision": decision, "released": released, "request": self.egress_leaf}
        by = changes.pop("by", checker_key(name))
        org = changes.pop("org", f"h{name[-1]}")
        return self.put(
            "egress-decision", EgressDecisionBody(**{**fields, **changes}), by=by, org=org
        )

    def released(self) -> None:
        """Both files are released after two reviews."""
        self.egress()
        self.check("c2")
        self.check("c3")
        self.release()

    def publish(self, **changes: Any) -> tuple[str, ...]:
        """The result appears; the findings."""
        fields: dict[str, Any] = {
            "acknowledgement_ok": True,
            "pid_type": "doi",
            "pid_value": "10.1234/abcd",
            "published_on": "2026-06-01",
            "result": self.result_leaf,
        }
        body = PublicationBody(**{**fields, **changes})
        self.put("publication", body, by=person_key(LEADER), at_ms=self.now)
        return self.findings

    # --- credit ---

    def claim(self, target: str | None = None, **changes: Any) -> str:
        """The analyst claims a part in the result."""
        by = changes.pop("by", person_key(ANALYST))
        org = changes.pop("org", "h2")
        fields: dict[str, Any] = {
            "credit_role": "formal-analysis",
            "degree": "lead",
            "object": target or self.result_leaf,
            "party": Party(org="h2", person=ANALYST),
        }
        body = ContributionBody(**{**fields, **changes})
        return self.put("contribution", body, by=by, org=org, at_ms=self.now)

    def confirm(self, claim: str, by: Any = "officer", org: str = "h1", **changes: Any) -> str:  # noqa: ANN401
        """The answer to a claim."""
        fields = {"contribution": claim, "decision": "confirm"}
        body = ContributionConfirmBody(**{**fields, **changes})
        return self.put("contribution-confirm", body, by=by, org=org)

    def notice_body(self, **changes: Any) -> NoticeBody:
        """A notice of twenty days, of what the chain calculates now."""
        target = changes.get("object", self.result_leaf)
        calculation = credit_of(self.draft(), target, self.at())
        fields: dict[str, Any] = {
            "as_of": encode_time(self.now)[:10],
            "closes": encode_time(self.now + 20 * DAY_MS),
            "draft_hash": calculation.digest,
            "notice_id": "N-1",
            "object": target,
            "opens": encode_time(self.now),
            "policy": calculation.policy,
        }
        return NoticeBody(**{**fields, **changes})

    def notice(self, **changes: Any) -> str:
        """A notice, by the committee's secretary; then its time passes."""
        self.notice_leaf = self.put("notice", self.notice_body(**changes), by="committee")
        self.now += 21 * DAY_MS
        return self.notice_leaf

    def certificate_body(self, **changes: Any) -> CertificateBody:
        """A certificate of what was shown in the notice."""
        target = changes.get("object", self.result_leaf)
        found = credit_of(self.draft(), target, self.at())
        right = Right(
            basis=self.decision_leaf, holder=Party(org="h1"), right="use", scope="research"
        )
        fields: dict[str, Any] = {
            "ack_root": found.ack_root,
            "as_of": encode_time(self.now)[:10],
            "calc_digest": found.digest,
            "cert_no": "CERT-1",
            "limits_version": 1,
            "notice": self.notice_leaf,
            "object": target,
            "object_kind": "paper",
            "rights": (right,),
            "share_root": found.share_root,
            "valid_until": encode_time(self.now + 365 * DAY_MS)[:10],
        }
        return CertificateBody(**{**fields, **changes})

    def certify(self, **changes: Any) -> str:
        """A certificate by two of three members and the custodian; its leaf."""
        not_after = encode_time(self.now + 30 * DAY_MS)
        leaf = self.put(
            "certificate", self.certificate_body(**changes), by="committee", not_after=not_after
        )
        self.endorse(leaf, "h2", "committee")
        if self.decision(leaf).status == "PENDING":
            self.endorse(leaf, "h1", "officer")
        return leaf

    def credited(self) -> None:
        """A result with two confirmed analysts."""
        self.finished()
        self.confirm(self.claim())
        leader = Party(org="h1", person=LEADER)
        self.confirm(self.claim(by=person_key(LEADER), org="h1", party=leader, degree="equal"))

    def later_notice(self, number: str) -> str:
        """A second notice, when rights need a later `not_after`."""
        body = self.notice_body(notice_id=number)
        later = encode_time(self.now + 30 * DAY_MS)
        self.notice_leaf = self.put("notice", body, by="committee", not_after=later)
        self.now += 21 * DAY_MS
        return self.notice_leaf

    def new_policy(self, **changes: Any) -> None:
        """Another policy in force from now on: other pools, and what is given."""
        before = self.value("policy", "current")
        later = encode_time(self.now + 30 * DAY_MS)
        parameters = msgspec.structs.replace(DEFAULT_ATTRIBUTION, kappa=(1, 5), egress_days=1)
        fields = {
            "attribution": parameters,
            "effective_from": encode_time(self.now + 1_000),
            "version": before.body.version + 1,
            **changes,
        }
        ref = self.resolution("R-5", time_ms=self.now, not_after=later)
        self.endorse(ref.leaf, "h2", "committee")
        body = msgspec.structs.replace(before.body, **fields)
        refs = (ref, Ref(leaf=before.leaf, rel="previous"))
        leaf = self.put("policy", body, by="committee", refs=refs, not_after=later)
        self.endorse(leaf, "h2", "committee")
        assert self.decision(leaf).status == "EFFECTIVE"
        self.now += 2_000

    def raise_quorum(self) -> None:
        """Rulings need all members that are no parties."""
        quorum = {**self.value("policy", "current").body.quorum, "dispute-ruling": (1, 1)}
        self.new_policy(quorum=quorum)

    def resolved(self, kind: Any, number: str) -> Ref:  # noqa: ANN401
        """A resolution of this kind, not yet endorsed."""
        body = ResolutionBody(
            kind=kind,
            meeting_date="2026-01-01",
            no=number,
            present=3,
            votes=Votes(abstain=0, against=0, in_favour=3),
        )
        later = encode_time(self.now + 30 * DAY_MS)
        leaf = self.put("resolution", body, by="committee", not_after=later)
        return Ref(leaf=leaf, rel="resolution")

    def certified(self) -> str:
        """All of it; the certificate's leaf."""
        self.credited()
        self.notice()
        return self.certify()

    # --- disputes ---

    def object_to(self, target: str, **changes: Any) -> str:
        """The analyst objects."""
        fields: dict[str, Any] = {
            "claim_code": "credit",
            "claimant": Party(org="h2", person=ANALYST),
            "dispute_id": "DIS-1",
            "target": target,
        }
        by, org = changes.pop("by", person_key(ANALYST)), changes.pop("org", "h2")
        body = DisputeBody(**{**fields, **changes})
        return self.put("dispute", body, by=by, org=org, at_ms=self.now)

    def rule(self, dispute: str, outcome: Any = "rejected", org: str = "h3", **changes: Any) -> str:  # noqa: ANN401
        """The committee rules, under a resolution of its own."""
        later = encode_time(self.now + 30 * DAY_MS)
        ref = self.resolved(changes.pop("kind", "decide"), changes.pop("no", "R-9"))
        self.endorse(ref.leaf, "h2", "committee")
        body = DisputeRulingBody(dispute=dispute, outcome=outcome, **changes)
        return self.put(
            "dispute-ruling", body, by="committee", org=org, refs=(ref,), not_after=later
        )

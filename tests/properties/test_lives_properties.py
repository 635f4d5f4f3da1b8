"""Random legal and illegal lives of data uses, against a model of the state machines that shares no
code with the rules and is simple on purpose: words and sets.

Every record goes over the real chain. The model says beforehand whether it is taken, what the
thing it concerns is then, and what an access under the permit shows.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.encoding import encode_time
from ledger.errors import RefusedError
from ledger.records.catalogue import DatasetStatusBody
from ledger.records.envelope import Payload
from tests.ledger.lives import ANALYST, DAY_MS, DIGEST, LEADER, STRANGER, Life, person_key

OFFICER, DAC = "officer", "committee"
END = 364
"""Days from the first to the last of the permit."""


class Model:
    """What ought to be so."""

    def __init__(self) -> None:
        self.ethics = "granted"
        self.study = "open"
        self.request = "none"
        self.reviewers: set[str] = set()
        self.permit = "none"
        self.history: list[tuple[int, str]] = []
        self.ethics_history: list[tuple[int, str]] = []
        self.withdrawn = False
        self.persons: set[str] = set()
        self.used_days: set[int] = set()
        self.run = "none"

    def permit_at(self, day_ms: int) -> str:
        """How the permit stood at a time."""
        found = "none"
        for since, status in self.history:
            if since <= day_ms:
                found = status
        return found


class Lives(RuleBasedStateMachine):
    """One study, one dataset, one request, one permit; anybody may try anything at any time."""

    @initialize(steps=st.sampled_from([0, 3, 5, 6, 6, 6]))
    def begin(self, steps: int) -> None:
        """A chain with data, a study and its approval, and so many steps towards a permit."""
        self.life = Life()
        self.life.dataset()
        self.life.study()
        self.life.ethics()
        self.model = Model()
        self.start = self.life.now
        self.model.ethics_history = [(0, "granted")]
        self.resolution = self.life.agreed_resolution()
        self.go_on(steps)

    def day(self) -> int:
        return (self.life.now - self.start) // DAY_MS

    def over(self) -> bool:
        """Whether the last day of the permit (and of nothing else here) is past."""
        return self.life.now > self.life.value("permit", "P-1").terms.until_ms

    def attempt(self, expected: bool, do: Any, *args: Any, **fields: Any) -> bool:  # noqa: ANN401
        """Do it; it is refused exactly when the model says so."""
        before = self.life.tip
        refusal = None
        try:
            do(*args, **fields)
        except RefusedError as error:
            refusal = error
        assert (refusal is None) is expected, refusal or "this should have been refused"
        assert refusal is None or self.life.tip is before, "a refusal leaves no trace"
        return expected

    # --- time -------------------------------------------------------------------------------------

    @rule(days=st.sampled_from([0, 1, 30, 200]))
    def wait(self, days: int) -> None:
        self.life.now += days * DAY_MS + 1_000

    def go_on(self, steps: int) -> None:
        """The next steps of a life without trouble."""
        for _ in range(steps):
            self.next_step()

    @rule()
    def next_step(self) -> None:
        """The next step, again and again: else few lives come to a permit."""
        model = self.model
        if model.request in ("none", "returned"):
            self.submit()
        elif model.request == "submitted":
            self.check_completeness("approve")
        elif model.request == "under review":
            missing = {"h2", "h3"} - model.reviewers
            if missing:
                self.review(min(missing), "approve")
            else:
                self.approve(False)
        elif model.permit == "approved":
            self.permit_step("activate", False)

    # --- ethics, study, data ----------------------------------------------------------------------

    @rule(step=st.sampled_from(["renew", "suspend", "renew", "grant", "withdraw", "renew"]))
    def ethics(self, step: str) -> None:
        model = self.model
        allowed = {
            "granted": {"renew": "granted", "suspend": "suspended", "withdraw": "withdrawn"},
            "suspended": {"renew": "granted", "withdraw": "withdrawn"},
            "withdrawn": {},
        }[model.ethics]
        if self.attempt(step in allowed, self.life.ethics, status=step):
            model.ethics = allowed[step]
            model.ethics_history.append((self.life.now, model.ethics))

    @rule(kind=st.sampled_from(["annual-report", "completion", "termination"]))
    def study_event(self, kind: str) -> None:
        found = self.life.event(kind)
        assert found == (() if self.model.study == "open" else ("NOT_OPEN",))
        if kind != "annual-report":
            self.model.study = "ended"

    @rule()
    @precondition(lambda self: self.model.permit != "none")
    def withdraw_data(self) -> None:
        body = DatasetStatusBody(
            action="withdraw", reason_code="recalled", version=self.life.versions["D1"]
        )
        if self.attempt(not self.model.withdrawn, self.life.put, "dataset-status", body):
            self.model.withdrawn = True

    # --- the request ------------------------------------------------------------------------------

    @rule()
    def submit(self) -> None:
        life, model = self.life, self.model
        known = model.request != "none"
        body = life.request_body(**({"revises": life.request_leaf} if known else {}))
        in_time = life.now <= life.value("ethics", "EA-1").until_ms
        expected = (
            model.request in ("none", "returned")
            and model.study == "open"
            and model.ethics == "granted"
            and in_time
            and not model.withdrawn
        )

        def both_sign() -> None:
            leaf = life.put("access-request", body)
            life.request_leaf = leaf
            assert life.decision(leaf).status == "PENDING"
            assert life.endorse(leaf, "h1", person_key(LEADER)) == "EFFECTIVE"

        if self.attempt(expected, both_sign):
            model.request, model.reviewers = "submitted", set()

    @rule(opinion=st.sampled_from(["approve", "return", "reject", "abstain"]))
    @precondition(lambda self: self.model.request != "none" and self.model.permit == "none")
    def check_completeness(self, opinion: str) -> None:
        self.life.review("h3", "completeness", opinion=opinion)
        was_open = self.model.request == "submitted"
        assert self.life.findings == (() if was_open else ("NOT_OPEN",))
        if was_open:
            self.model.request = {"approve": "under review", "return": "returned"}.get(
                opinion, "submitted"
            )

    @rule(org=st.sampled_from(["h2", "h3"]), opinion=st.sampled_from(["approve", "reject"]))
    @precondition(lambda self: self.model.request != "none" and self.model.permit == "none")
    def review(self, org: str, opinion: str) -> None:
        self.life.review(org, opinion=opinion)
        was_open = self.model.request == "under review"
        assert self.life.findings == (() if was_open else ("NOT_OPEN",))
        if was_open:
            self.model.reviewers -= {org}
            self.model.reviewers |= {org} if opinion == "approve" else set()

    @rule()
    @precondition(lambda self: self.model.request != "none")
    def take_back(self) -> None:
        found = self.life.event("withdraw-request", request=self.life.request_leaf)
        may = self.model.request in ("submitted", "under review", "returned")
        assert found == (() if may else ("NOT_OPEN",))
        if may:
            self.model.request = "withdrawn"

    # --- the decision -----------------------------------------------------------------------------

    def live_reviews(self) -> tuple[str, ...]:
        opinions = self.life.value("request", "R-1").opinions
        return tuple(one.leaf for one in opinions if one.stage != "completeness")

    @rule(alone=st.booleans())
    @precondition(lambda self: self.model.request != "none" and self.model.permit == "none")
    def approve(self, alone: bool) -> None:
        life, model = self.life, self.model
        persons = (LEADER,) if alone else (LEADER, ANALYST)
        body = life.decision_body(reviews=self.live_reviews(), persons=persons)
        expected = (
            model.request == "under review"
            and model.reviewers == {"h2", "h3"}
            and model.permit == "none"
            and model.ethics == "granted"
            and self.granted_throughout()
            and not model.withdrawn
        )

        def all_agree() -> None:
            leaf = life.put("access-decision", body, by=DAC, refs=(self.resolution,))
            assert life.endorse(leaf, "h1") == "PENDING"
            assert life.endorse(leaf, "h2", DAC) == "EFFECTIVE"
            life.decision_leaf = leaf

        if self.attempt(expected, all_agree):
            model.request, model.permit = "approved", "approved"
            model.persons = set(persons)
            model.history = [(life.now, "approved")]

    def granted_throughout(self) -> bool:
        """Whether ethics was granted on the first day of the permit, which is the chain's first."""
        return self.model.ethics_history[0][1] == "granted"

    @rule(decision=st.sampled_from(["reject", "return"]))
    @precondition(lambda self: self.model.request != "none")
    def refuse(self, decision: str) -> None:
        life, model = self.life, self.model
        expected = model.request == "under review" or (
            model.request == "submitted" and decision == "return"
        )

        def agree() -> None:
            body = life.decision_body(decision=decision)
            leaf = life.put("access-decision", body, by=DAC)
            assert life.endorse(leaf, "h3", DAC) == "EFFECTIVE"

        if self.attempt(expected, agree):
            model.request = {"reject": "rejected", "return": "returned"}[decision]

    # --- the permit -------------------------------------------------------------------------------

    @rule(action=st.sampled_from(["activate", "resume", "extend"]))
    @precondition(lambda self: self.model.permit != "none")
    def give(self, action: str) -> None:
        self.permit_step(action, False)

    @rule(action=st.sampled_from(["suspend", "suspend", "suspend", "revoke"]))
    @precondition(lambda self: self.model.permit != "none")
    def take_away(self, action: str) -> None:
        self.permit_step(action, False)

    @rule(attested=st.booleans())
    @precondition(lambda self: self.model.permit in ("suspended", "revoked", "closed"))
    def close(self, attested: bool) -> None:
        self.permit_step("close", attested)

    @rule()
    @precondition(lambda self: self.model.permit == "active" and self.over())
    def close_what_is_over(self) -> None:
        self.permit_step("close", False)

    def permit_step(self, action: str, attested: bool) -> None:
        life, model = self.life, self.model
        now = "expired" if model.permit == "active" and self.over() else model.permit
        after = {
            ("approved", "activate"): "active",
            ("active", "suspend"): "suspended",
            ("suspended", "resume"): "active",
            ("approved", "revoke"): "revoked",
            ("active", "revoke"): "revoked",
            ("suspended", "revoke"): "revoked",
            ("active", "close"): "closed",
            ("expired", "close"): "closed",
            ("revoked", "close"): "closed",
        }.get((now, action))
        expected = after is not None
        if action in ("activate", "resume"):
            expected = expected and model.ethics == "granted" and not self.over()
        if action == "close" and now == "revoked":
            expected = expected and attested

        def signed() -> None:
            one = Payload(
                commit=DIGEST,
                holders=("h1",),
                schema="permit-status/removal",
                size_bucket=256,
                tier="T2",
            )
            payloads = {"payloads": (one,)} if attested else {}
            leaf = life.step(action, **payloads)
            if action == "resume":
                life.endorse(leaf, "h2", DAC)
                life.endorse(leaf, "h3", DAC)
            if action == "close":
                life.endorse(leaf, "h1", person_key(LEADER))
            assert life.decision(leaf).status == "EFFECTIVE"

        before = life.now
        if self.attempt(expected, signed):
            assert after is not None
            model.permit = after
            # Taking away counts from the time stated, giving from the block.
            since = before if action in ("suspend", "revoke") else life.now
            model.history.append((max(since, model.history[-1][0]), after))

    # --- use --------------------------------------------------------------------------------------

    @rule(
        person=st.sampled_from([LEADER, ANALYST, STRANGER, None]),
        back=st.sampled_from([0, 1_000, DAY_MS]),
        permit=st.booleans(),
    )
    def access(self, person: str | None, back: int, permit: bool) -> None:
        life, model = self.life, self.model
        happened = max(life.now - back, self.start)
        changes: dict[str, Any] = {"person": person, "at_ms": happened}
        if not permit:
            changes["permit"] = None
        expected = {"NO_PERSON"} if person is None else set()
        if model.withdrawn:
            expected.add("DATASET_WITHDRAWN")
        if not permit:
            expected.add("NO_PERMIT")
        elif model.permit == "none":
            expected.add("UNREGISTERED")
        else:
            expected |= self.under_permit(happened)
            if person is not None and person not in model.persons:
                expected.add("PERSON_NOT_LISTED")
            model.used_days.add(happened // DAY_MS)
        assert set(life.access(**changes)) == expected

    def under_permit(self, happened: int) -> set[str]:
        """What the permit and the approval show at a time."""
        model = self.model
        status = model.permit_at(happened)
        end = self.life.value("permit", "P-1").terms.until_ms
        found = {
            "none": {"NOT_ACTIVE"},
            "approved": {"NOT_ACTIVE"},
            "active": {"EXPIRED"} if happened > end else set(),
            "suspended": {"SUSPENDED"},
            "revoked": {"REVOKED"},
            "closed": {"CLOSED"},
        }[status]
        granted = "none"
        for since, what in model.ethics_history:
            if since <= happened:
                granted = what
        approval_end = self.life.value("ethics", "EA-1").until_ms
        if granted != "granted" or happened > approval_end:
            found = found | {"ETHICS_INVALID"}
        return found

    @rule(state=st.sampled_from(["requested", "started", "completed", "failed"]))
    @precondition(lambda self: self.model.permit != "none")
    def run_something(self, state: str) -> None:
        life, model = self.life, self.model
        now = life.now
        found = set(life.run(state, started=encode_time(now), ended=encode_time(now)))
        expected = set()
        if state != "requested":
            expected = self.under_permit(now)
            if ANALYST not in model.persons:
                expected.add("PERSON_NOT_LISTED")
            if model.withdrawn:
                expected.add("DATASET_WITHDRAWN")
            if state in ("completed", "failed") and now // DAY_MS not in model.used_days:
                expected.add("NO_MATCHING_ACCESS")
        order = {"none": 0, "requested": 1, "started": 2, "completed": 3, "failed": 3}
        follows = model.run in ("none", "requested", "started") and order[state] > order[model.run]
        if follows:
            model.run = state
        else:
            expected.add("RUN_STATE")
        assert found == expected

    # --- what is always so ------------------------------------------------------------------------

    @invariant()
    def the_chain_says_what_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        life, model = self.life, self.model
        assert life.value("ethics", "EA-1").spans[-1].status == model.ethics.upper()
        request = life.value("request", "R-1")
        status = "none" if request is None else request.status
        assert status == model.request.upper().replace(" ", "_").replace("NONE", "none")
        permit = life.value("permit", "P-1")
        status = "none" if permit is None else permit.spans[-1].status
        assert status == model.permit.upper().replace("NONE", "none")
        assert (life.value("study", "S-1").status == "REGISTERED") is (model.study == "open")
        version = life.value("version", "D1@1")
        assert (version.withdrawn is not None) is model.withdrawn


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=150, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)

"""What the story amounts to: the paper's figures, and what they hide."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from bench.deployment.story import Told
from bench.deployment.traffic import Deployment, Request
from examples.demo.workload import text_key
from shared.domain.evaluation import EvaluationReport
from shared.domain.triage import Family, TriageKind

PASSES_SHOWN = 200
_LABEL_FAMILIES = (Family.WRONG_REFERENCE, Family.LABEL_FLIP)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Failures that are right now."""

    failures: int
    fixed: int
    share: float


@dataclass(frozen=True, slots=True)
class Broken:
    """Passes that are wrong now, and how many that makes of 200."""

    passes: int
    broken: int
    of_200: float


@dataclass(frozen=True, slots=True)
class Planted:
    """Wrong references: ``failed`` made a failure of a request, ``reported`` were found as wrong.

    ``kept_out``: quarantined for whatever reason; ``learned``: trained on with the wrong label.
    ``falsely_reported`` are sound references of failures that were reported.
    """

    planted: int
    failed: int
    reported: int
    kept_out: int
    learned: int
    falsely_reported: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests with a planted reference are left out: they are no failures of the model.

    ``paper``: all failures, and 200 passes by label in turn, trained on or not, as the paper
    counts. ``heldout``: as the gate counted them, before they were learned by anyone whose answers
    count. ``unseen`` were never trained on, 200 of the passes by label in turn; ``ungated`` are all
    of these passes that the gate did not ask either. ``test_passes``: test rows right before.
    """

    requests: int
    pass_rate: float
    failures: int
    trained_rows: int
    paper_failures: Fixed
    paper_passes: Broken
    heldout_failures: Fixed
    unseen_failures: Fixed
    unseen_passes: Broken
    ungated_passes: Broken
    test_rows: int
    test_accuracy_before: float
    test_accuracy_after: float
    test_passes: Broken
    planted: Planted


def figures(deployment: Deployment, told: Told) -> Figures:
    """Equal stories give equal figures."""
    answered = zip(deployment.requests, told.before.requests, told.after.requests, strict=True)
    sound = [(request, before, after) for request, before, after in answered if not request.planted]
    failures = [(r, after) for r, before, after in sound if before != r.truth]
    passes = [(r, after) for r, before, after in sound if before == r.truth]
    trained = {text_key(row.text) for row in told.trained}
    measured = {text_key(row.text) for row in told.measured}
    unseen = [(r, a) for r, a in passes if text_key(r.text) not in trained]
    ungated = [(r, a) for r, a in unseen if text_key(r.text) not in measured]
    references = zip(deployment.requests, told.before.requests, strict=True)
    asked = [Request(e.text, e.label, e.label) for e in deployment.test]
    tested = list(zip(asked, told.before.test, told.after.test, strict=True))
    return Figures(
        requests=len(deployment.requests),
        pass_rate=_share(before == r.reference for r, before in references),
        failures=len(failures),
        trained_rows=len(told.trained),
        paper_failures=_fixed(failures),
        paper_passes=_broken(_in_turn(passes, deployment.seed)),
        heldout_failures=_gated(told.report),
        unseen_failures=_fixed([(r, a) for r, a in failures if text_key(r.text) not in trained]),
        unseen_passes=_broken(_in_turn(unseen, deployment.seed)),
        ungated_passes=_broken(ungated),
        test_rows=len(asked),
        test_accuracy_before=_share(before == r.truth for r, before, _ in tested),
        test_accuracy_after=_share(after == r.truth for r, _, after in tested),
        test_passes=_broken([(r, after) for r, before, after in tested if before == r.truth]),
        planted=_planted(deployment, told),
    )


def _planted(deployment: Deployment, told: Told) -> Planted:
    planted = [request for request in deployment.requests if request.planted]
    answers = dict(zip((r.id for r in deployment.requests), told.before.requests, strict=True))
    reported = {
        id_
        for id_, found in told.triage.items()
        if found.kind != TriageKind.FIXABLE and found.family in _LABEL_FAMILIES
    }
    quarantined = {i for i, found in told.triage.items() if found.kind != TriageKind.FIXABLE}
    learned = {(text_key(row.text), row.target) for row in told.trained}
    ids = {request.id for request in planted}
    return Planted(
        planted=len(planted),
        failed=sum(answers[request.id] != request.reference for request in planted),
        reported=len(ids & reported),
        kept_out=len(ids & quarantined),
        learned=sum((text_key(r.text), r.reference) in learned for r in planted),
        falsely_reported=len(reported - ids),
    )


def _fixed(answered: Sequence[tuple[Request, str]]) -> Fixed:
    right = sum(answer == request.truth for request, answer in answered)
    return Fixed(len(answered), right, _rounded(right, len(answered)))


def _gated(report: EvaluationReport | None) -> Fixed:
    """What was promoted may have learned them since; the gate heard a twin that had not."""
    if report is None:
        return Fixed(0, 0, 0.0)
    asked = report.heldout
    return Fixed(asked.total, asked.right_after, _rounded(asked.right_after, asked.total))


def _broken(answered: Sequence[tuple[Request, str]]) -> Broken:
    wrong = sum(answer != request.truth for request, answer in answered)
    of_200 = PASSES_SHOWN * wrong / len(answered) if answered else 0.0
    return Broken(len(answered), wrong, round(of_200, 2))


def _in_turn(passes: Sequence[tuple[Request, str]], seed: int) -> list[tuple[Request, str]]:
    """At most 200, drawn by label in turn."""
    by_label: dict[str, list[tuple[Request, str]]] = defaultdict(list)
    for one in passes:
        by_label[one[0].truth].append(one)
    rng = Random(seed)
    columns = [rng.sample(rows, len(rows)) for _, rows in sorted(by_label.items())]
    return [one for turn in zip_longest(*columns) for one in turn if one][:PASSES_SHOWN]


def _share(right: Iterable[bool]) -> float:
    found = list(right)
    return _rounded(sum(found), len(found))


def _rounded(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0

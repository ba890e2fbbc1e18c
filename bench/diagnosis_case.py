"""One diagnosis of n synthetic failures, timed stage by stage in this process."""

import io
import random
import resource
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from bench.failure_texts import Query, make_traces
from services.diagnoser.domain import findings, triage
from services.diagnoser.domain.findings import SplitPolicy, diagnose
from services.diagnoser.domain.traffic import Traffic
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.pipeline import Method
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.traces import Verdict
from shared.job_specs import EmbedSpec

PASSES = 5_000
TRUSTED_OF_A_LABEL = 10
SEED = 17
# What the parts of a diagnosis are called in the report; they do not contain each other.
STAGES: tuple[tuple[ModuleType, str, str], ...] = (
    (triage, "collapse", "near duplicates"),
    (triage, "judge_corrections", "label noise"),
    (triage, "find_noise", "fixable noise"),
    (triage, "surface_evidence", "surface"),
    (triage, "phrasing_evidence", "phrasing"),
    (triage, "phrase_evidence", "phrase model"),
    (triage, "off_domain_evidence", "off-domain"),
    (triage, "disagreement_evidence", "disagreement"),
    (findings, "find_patterns", "taxonomy"),
    (findings, "find_remedies", "remedies"),
    (findings, "split_failures", "splits"),
    (findings, "regression_set", "splits"),
    (findings, "training_pool", "splits"),
    (findings, "make_probes", "probes"),
)


class Watch:
    """Seconds of wall time and of CPU time by stage; a stage within another is its own only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._inner = (0.0, 0.0)

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        outside, self._inner = self._inner, (0.0, 0.0)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            self.seconds[name] = self.seconds.get(name, 0.0) + wall - self._inner[0]
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + cpu - self._inner[1]
            self._inner = (outside[0] + wall, outside[1] + cpu)

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def within_stage(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return within_stage


def measure(queries: Sequence[Query], count: int) -> dict[str, Any]:
    """Seconds of each stage and peak memory. Once in a process: it wraps the functions it times."""
    labels = tuple(sorted({query.label for query in queries}))
    failures = make_traces(queries, count, verdict=Verdict.FAIL, seed=SEED)
    passes = make_traces(queries, PASSES, verdict=Verdict.PASS, seed=SEED)
    trusted = _trusted(queries)
    rows = [*(Row(t.id, t.text, t.corrected) for t in (*failures, *passes)), *trusted]
    watch = Watch()
    with TemporaryDirectory() as scratch:
        artifacts = FsspecArtifacts(Path(scratch).as_uri())
        adapter = _deploy(artifacts, Task(TaskKind.CLASSIFICATION, labels), trusted)
        texts = artifacts.put(dump_rows(rows), name="texts.jsonl")
        with watch.stage("embeddings and probabilities"):
            vectors, probabilities = _embed(artifacts, EmbedSpec(adapter=adapter, texts=texts))
    traffic = Traffic(labels, failures, passes, trusted, vectors, probabilities)
    for module, function, stage in STAGES:
        setattr(module, function, watch.timed(getattr(module, function), stage))
    with watch.stage("other"):
        found = diagnose(traffic, SplitPolicy())
    return {
        "failures": count,
        "passes": len(passes),
        "trusted": len(trusted),
        "labels": len(labels),
        "distinct_texts": len({trace.text for trace in failures}),
        "seconds": {stage: round(value, 2) for stage, value in watch.seconds.items()},
        "total_seconds": round(sum(watch.seconds.values()), 2),
        "cpu_seconds": {stage: round(value, 2) for stage, value in watch.cpu_seconds.items()},
        "peak_mb": round(_peak_mb()),
        "near_duplicate_groups": int(found.triaged.repetitions.group.max()) + 1,
        "quarantined": found.quarantined,
        "learnable": found.learnable,
        "patterns": len(found.patterns),
    }


def _embed(artifacts: FsspecArtifacts, spec: EmbedSpec) -> tuple[Any, Any]:
    from shared.jobs.devices import use_all_cpus
    from shared.jobs.embed import run_embed

    use_all_cpus()
    done = run_embed(spec, artifacts)
    refs = [done.embeddings, done.probabilities]
    return tuple(np.load(io.BytesIO(artifacts.get(ref))).astype(np.float32) for ref in refs if ref)


def _deploy(artifacts: FsspecArtifacts, task: Task, trusted: Sequence[Row]) -> ArtifactRef:
    """A classifier of the task that needs no training: its head is the class means."""
    from shared.jobs.base_models import MINILM, base_folder
    from shared.jobs.checkpoints import FORMAT, Adapter, save
    from shared.jobs.classifiers import encode, load_tokenizer, new_classifier
    from shared.jobs.heads import start_at_class_means

    base = base_folder(MINILM)
    model, tokenizer = new_classifier(base, task), load_tokenizer(base)
    ids = encode(tokenizer, [row.text for row in trusted], max_tokens=128)
    targets = [task.labels.index(row.target) for row in trusted]
    start_at_class_means(model, ids, targets, pad=tokenizer.pad_token_id or 0)
    made = Adapter(format=FORMAT, task=task, base_model=MINILM, method=Method.FULL)
    return save(artifacts, made, model, tokenizer, name="deployed")


def _trusted(queries: Sequence[Query]) -> list[Row]:
    shuffled = random.Random(SEED).sample(queries, len(queries))
    taken: dict[str, list[Row]] = {}
    for at, query in enumerate(shuffled):
        rows = taken.setdefault(query.label, [])
        if len(rows) < TRUSTED_OF_A_LABEL:
            rows.append(Row(f"trusted-{at:06d}", " ".join(query.words), query.label))
    return [row for label in sorted(taken) for row in taken[label]]


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    return peak / (1e6 if sys.platform == "darwin" else 1e3)

"""Stage explanations: a text, or the reason why there is none, for every latent asked for.

In: the table examples. Out: rows of the table explanations, written as they arrive.

1. The latents asked for that have train windows are listed, each with its `explanation_id`: the
   hash of everything that makes the explanation what it is.
2. Those that have a text are skipped; so are those whose failure is final, unless another question
   would be asked now (say, with more `max_tokens`).
3. The others are explained, by counting (`lexical`) or by an LLM (`explainers.default`). An answer
   that an earlier, interrupted call paid for comes from the table completions.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from tqdm import tqdm

from delphi_assets import database, lexical
from delphi_assets.explainers import default
from delphi_assets.lake import Lake
from delphi_assets.llm import failures, loop
from delphi_assets.llm.client import Client, Usage
from delphi_assets.llm.completions import Completion
from delphi_assets.llm.requests import Request
from delphi_assets.llm.rows import Row, row_writer
from delphi_assets.records import LatentRecord, example_files, read_records
from delphi_assets.schema import EXPLANATIONS
from delphi_assets.scorers.items import batches
from delphi_assets.settings import ExplainSettings, Latents, Profile
from delphi_assets.stage import Fact, StageReport

CHUNK = 64
"""Latents whose lexical explanations share a file."""


class Outcome(NamedTuple):
    """What is stored for an explanation."""

    selection: str
    failure: str | None
    request: str | None


@dataclass(frozen=True)
class _Job:
    """What one call of `explain` is about."""

    profile: Profile
    hookpoint: str
    selection: str
    settings: ExplainSettings

    @property
    def run(self) -> str:
        return self.profile.run.name

    @property
    def keys(self) -> dict[str, str | int]:
        return {"run": self.run, "hookpoint": self.hookpoint}

    @property
    def prompt_hash(self) -> str:
        if self.settings.explainer == "lexical":
            return "lexical"
        return default.prompt_hash(self.settings, self.profile.llm.json_schema)

    def explanation_id(self, latent: int) -> str:
        """Hash of what makes the explanation what it is; the counting explainer has no settings."""
        made_by: dict[str, object] = {
            "run": self.run,
            "hookpoint": self.hookpoint,
            "latent": latent,
            "selection": self.selection,
            "explainer": self.settings.explainer,
            "model": self.settings.explainer_model,
            "prompt": self.prompt_hash,
        }
        if self.settings.explainer != "lexical":
            made_by["threshold"] = self.settings.threshold
            made_by["temperature"] = self.profile.llm.temperature
            made_by["json_schema"] = self.profile.llm.json_schema
        return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:32]


def explain(  # noqa: PLR0917 - the stages' contract
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    latents: Latents,
    settings: ExplainSettings,
    selection: str,
) -> StageReport:
    """Explain the given latents of a hookpoint from the windows of `selection`.

    Facts: latents asked for, explained, failed (by now, this explainer and model), those skipped
    for want of train windows, rows of this selection, and what the LLM calls came to. Raises
    `NotReadyError` without examples, `SettingError` when the LLM's key or model is refused; rows
    written so far stay.
    """
    start = time.perf_counter()
    job = _Job(profile, hookpoint, selection, settings)
    with_windows = _with_train_windows(lake, job, latents)
    outcomes = _outcomes(lake, job)
    pending = {
        latent for latent in with_windows if not _has_text(outcomes, job.explanation_id(latent))
    }
    usage: dict[str, Fact] = {}
    if settings.explainer == "lexical":
        new_rows = _explain_lexically(lake, job, pending)
    else:
        new_rows, usage = loop.run(_explain_with_llm(lake, job, pending, outcomes))
    outcomes = _outcomes(lake, job)
    mine = [outcomes.get(job.explanation_id(latent)) for latent in with_windows]
    asked = _count(latents) if latents.ranges else len(with_windows)
    return StageReport(
        rows=len(outcomes),
        new_rows=new_rows,
        seconds=time.perf_counter() - start,
        facts={
            "asked": asked,
            "explained": sum(outcome is not None and not outcome.failure for outcome in mine),
            "failed": sum(outcome is not None and bool(outcome.failure) for outcome in mine),
            "skipped_below_min_examples": asked - len(with_windows),
            "rows_of_selection": sum(
                outcome.selection == selection for outcome in outcomes.values()
            ),
            **usage,
        },
    )


def _with_train_windows(lake: Lake, job: _Job, latents: Latents) -> list[int]:
    files = example_files(lake, job.run, job.hookpoint, job.selection)
    con = database.open_database(lake)
    counts = database.query(con, "explanations/explainable", files=files)
    con.close()
    return [
        row["latent"] for row in counts.to_pylist() if row["n_train"] and row["latent"] in latents
    ]


def _outcomes(lake: Lake, job: _Job) -> dict[str, Outcome]:
    con = database.connect(lake)
    rows = database.query(con, "explanations/outcomes", run=job.run, hookpoint=job.hookpoint)
    con.close()
    return {
        row["explanation_id"]: Outcome(row["selection"], row["failure"], row["request"])
        for row in rows.to_pylist()
    }


def _has_text(outcomes: dict[str, Outcome], explanation_id: str) -> bool:
    outcome = outcomes.get(explanation_id)
    return outcome is not None and outcome.failure is None


def _records(lake: Lake, job: _Job, pending: set[int]) -> Iterator[LatentRecord]:
    if not pending:
        return
    span = Latents(((min(pending), max(pending) + 1),))
    for record in read_records(lake, job.run, job.hookpoint, job.selection, span):
        if record.latent in pending:
            yield record


def _progress(job: _Job, pending: set[int]) -> tqdm:  # type: ignore[type-arg]
    return tqdm(total=len(pending), desc=f"explain {job.hookpoint}", unit="latent")


def _explain_lexically(lake: Lake, job: _Job, pending: set[int]) -> int:
    if not pending:
        return 0
    counts = lexical.read_counts(lake, job.run)
    written = 0
    with _progress(job, pending) as bar:
        for records in batches(_records(lake, job, pending), CHUNK):
            rows = [_row(job, record, lexical.explain(record, counts)) for record in records]
            lake.append(EXPLANATIONS, job.keys, EXPLANATIONS.from_rows(rows))
            written += len(rows)
            bar.update(len(rows))
    return written


async def _explain_with_llm(
    lake: Lake, job: _Job, pending: set[int], outcomes: dict[str, Outcome]
) -> tuple[int, dict[str, Fact]]:
    if not pending:
        return 0, Usage().facts()
    llm, written = job.profile.llm, 0
    model, seed = job.settings.explainer_model, job.profile.run.seed
    with _progress(job, pending) as bar:
        async with (
            row_writer(lake, EXPLANATIONS, job.keys) as writer,
            Client(llm, model, lake, job.run, seed) as client,
        ):

            async def explain_one(record: LatentRecord) -> None:
                nonlocal written
                request = _request(job, record)
                if not _is_final(outcomes.get(job.explanation_id(record.latent)), request):
                    completion = await client.complete(request)
                    explanation = default.parse(completion)
                    row = _row(job, record, explanation.text, explanation.failure, completion)
                    added = await writer.submit([row])
                    written += added
                bar.update()

            await loop.for_each(_records(lake, job, pending), explain_one, 2 * llm.max_concurrent)
    return written, client.usage.facts()


def _is_final(outcome: Outcome | None, request: Request) -> bool:
    """Whether the same question failed before in a way that asking again cannot mend."""
    return (
        outcome is not None
        and outcome.failure not in failures.OPEN
        and outcome.request == request.hash
    )


def _request(job: _Job, record: LatentRecord) -> Request:
    llm = job.profile.llm
    fixed = default.instructions(job.settings, llm.json_schema)
    return Request(
        role="explainer",
        model=job.settings.explainer_model,
        messages=(*fixed, default.question(record, job.settings)),
        temperature=llm.temperature,
        max_tokens=llm.max_tokens,
        schema=default.schema(job.settings) if llm.json_schema else None,
    )


def _row(
    job: _Job,
    record: LatentRecord,
    text: str | None,
    failure: str | None = None,
    completion: Completion | None = None,
) -> Row:
    return {
        "explanation_id": job.explanation_id(record.latent),
        "latent": record.latent,
        "selection": job.selection,
        "explainer": job.settings.explainer,
        "model": job.settings.explainer_model,
        "explanation": text,
        "failure": failure,
        "prompt_hash": job.prompt_hash,
        "request": completion and completion.request,
        "n_examples": len(record.train),
        "prompt_tokens": completion and completion.prompt_tokens,
        "completion_tokens": completion and completion.completion_tokens,
        "cost": completion and completion.cost,
        "latency": completion and completion.latency,
        "written_at": datetime.now(UTC),
    }


def _count(latents: Latents) -> int:
    """How many latents the ranges name, overlaps counted once."""
    count = reached = 0
    for start, end in sorted(latents.ranges):
        count += max(0, end - max(start, reached))
        reached = max(reached, end)
    return count

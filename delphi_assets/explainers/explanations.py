"""Stage explanations: a text, or the reason why there is none, for every latent asked for.

In: the table examples. Out: rows of the table explanations, written as they arrive.

1. The latents asked for that have train windows are listed; those that have this explainer's text
   are skipped (`explainers.outcomes`).
2. Where `explain.routes` names routes, those of the others that need no LLM get their label from
   `explainers.routes`.
3. The others' records, train windows alone, go to the explainer (`explainers.registry`), which
   computes a text or asks an LLM. An answer that an earlier, interrupted call paid for comes from
   the table completions.
4. An answer that cannot be read gets one second try (`llm.repair`). A question whose failure is
   final is not asked again; another one (say, with more `max_tokens`) is.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from delphi_assets.caching.origins import check_coder
from delphi_assets.errors import NotReadyError
from delphi_assets.explainers import registry
from delphi_assets.explainers.computing import compute
from delphi_assets.explainers.explainer import (
    AskedExplainer,
    Candidate,
    ComputedExplainer,
    Explainer,
    Result,
)
from delphi_assets.explainers.outcomes import Outcomes
from delphi_assets.explainers.routes import routed
from delphi_assets.explainers.terms import Terms
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import Bar
from delphi_assets.ground.stage import Fact, StageReport
from delphi_assets.lake import claims, database
from delphi_assets.lake.growing_tables import RowWriter, fitted
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import EXPLANATIONS
from delphi_assets.latent_ranges import Latents, WhichLatents, wanted_latents
from delphi_assets.llm.asking import loop, repair
from delphi_assets.llm.asking.client import Client, Usage
from delphi_assets.llm.asking.keys import check_model
from delphi_assets.llm.asking.tally import Tally
from delphi_assets.llm.calls.completions import Completion, failed
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.money.estimates import Planned, drawn, stand_in
from delphi_assets.prompts import Prompts
from delphi_assets.reading.known_latents import check_latents
from delphi_assets.reading.records import LatentRecord
from delphi_assets.reading.sound_windows import check_windows
from delphi_assets.settings import ExplainSettings, Profile


@terminable()
def explain(  # noqa: PLR0917 - the stages' contract
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    latents: WhichLatents | None = None,
    settings: ExplainSettings | None = None,
    selection: str | None = None,
) -> StageReport:
    """Explain the given latents of a hookpoint from the windows of `selection`.

    `latents` are `"0-4, 17"`, `"next 1000"`, `"failed"`, indices or `Latents`. What is not given is
    the profile's: `explain.latents`, its section explain, the name of its selection.

    Facts: latents asked for, explained, failed (by now, this explainer and model), those of which
    an LLM's text says that there is no clear pattern, those skipped for want of windows, rows of
    this selection, and what the LLM calls came to. Raises `NotReadyError` without the examples that
    the explainer needs, `SettingError` for latents that are not there and when the LLM's key is
    missing or refused, or its model, `DataError` before an LLM is asked about windows that break an
    invariant, `BudgetError` when a budget is used up, `NoAnswerError` when every answer failed;
    rows written so far stay. While another process asks about the hookpoint, waits for it to end.
    """
    start = time.perf_counter()
    latents = wanted_latents(profile.explain.latents if latents is None else latents)
    settings, selection = settings or profile.explain, selection or profile.selection.name
    place = Place(lake.as_made(profile), lake, hookpoint)
    check_latents(place, latents)
    check_coder(place)
    explainer = registry.make(settings.explainer, settings.options)
    terms = terms_of(place, selection, settings, explainer)
    outcomes = Outcomes(explainer, terms)
    if not explainer.candidates(settings):
        return _report_stored(outcomes, latents, start)
    work, n_routed = _work(explainer, terms, latents, outcomes), 0
    asks = isinstance(explainer, AskedExplainer)
    by_route = asks and bool(settings.routes)
    if by_route and work.pending:
        with claims.asking(lake, "explanations", terms.keys):
            work = _work(explainer, terms, latents, Outcomes(explainer, terms))
            n_routed = _route(terms, work)
    if n_routed:
        # Those that have a label now are among the next ones, or those that had failed.
        latents = latents if latents.ranges else wanted_latents(work.explainable)
        work = _work(explainer, terms, latents, Outcomes(explainer, terms))
    if isinstance(explainer, AskedExplainer) and work.pending:
        if not all(map(work.outcomes.is_settled, work.pending)):
            check_windows(terms, latents)
            check_model(terms.llm, "explain.explainer_model", settings.explainer_model)
        with claims.asking(lake, "explanations", terms.keys):
            # Another process may have asked meanwhile, whether it had to be waited for or not.
            work = _work(explainer, terms, latents, Outcomes(explainer, terms))
            written = loop.run(_ask(explainer, terms, work))
    else:
        written = _compute(explainer, terms, work)
    new_rows = written.rows + n_routed
    after = Outcomes(explainer, terms) if new_rows else work.outcomes
    n_explained = sum(map(after.has_text, work.explainable))
    asked = _count(latents) if latents.ranges else len(work.explainable)
    return StageReport(
        rows=len(after),
        new_rows=new_rows,
        seconds=time.perf_counter() - start,
        facts={
            "asked": asked,
            "explained": n_explained,
            **({"without_llm": sum(map(after.is_routed, work.explainable))} if by_route else {}),
            "failed": sum(map(after.is_tried, work.explainable)) - n_explained,
            **({"no_clear_pattern": sum(map(after.says_none, work.explainable))} if asks else {}),
            "skipped_below_min_examples": asked - len(work.explainable),
            "rows_of_selection": len(after.of_selection),
            **written.usage,
        },
    )


def terms_of(
    place: Place, selection: str, settings: ExplainSettings, explainer: Explainer
) -> Terms:
    """What the call is about, with the version of the prompts that its answers have so far."""
    prompts = Prompts(settings.prompts)
    terms = Terms(place.profile, place.lake, place.hookpoint, selection, settings, prompts)
    if settings.prompt_version == "latest" or not isinstance(explainer, AskedExplainer):
        return terms
    made_by = {"explainer": settings.explainer, "explainer_model": settings.explainer_model}
    with database.connect(place.lake, up_to_date=False) as con:
        [row] = database.query(
            con, "explanations/prompt_version", **terms.keys, selection=selection, **made_by
        ).to_pylist()
    return replace(terms, prompts=Prompts(settings.prompts, version=row["prompt_version"]))


class _Work(NamedTuple):
    """What there is to do, by what was stored when it was made."""

    outcomes: Outcomes
    explainable: list[int]
    pending: set[int]
    """Latents without a text, or whose text may have changed."""
    has_texts: bool
    """Whether others that were asked for have one: with `failed`, those that did not fail."""


def _work(explainer: Explainer, terms: Terms, latents: Latents, outcomes: Outcomes) -> _Work:
    asked = _explainable(explainer, terms, latents)
    explainable = outcomes.wanted(asked, latents)
    again = explainer.text_counts
    pending = {latent for latent in explainable if again or not outcomes.has_text(latent)}
    has_texts = any(map(outcomes.has_text, asked if latents.failed else explainable))
    return _Work(outcomes, explainable, pending, has_texts)


def _route(terms: Terms, work: _Work) -> int:
    """Write the labels of pending latents that need no LLM; returns how many there were."""
    made = routed(terms, work.pending)
    rows = [work.outcomes.routed_row(latent, one) for latent, one in made.items()]
    if rows:
        terms.lake.append(EXPLANATIONS, terms.keys, fitted(EXPLANATIONS, rows).arrow)
    return len(rows)


def requests_to_explain(  # noqa: PLR0917 - as `explain`
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    latents: WhichLatents,
    settings: ExplainSettings,
    selection: str,
    sample: int,
) -> Planned | None:
    """What `explain` would ask about `sample` of the latents that it has left, without asking.

    None for an explainer that asks no LLM. Raises `NotReadyError` as `explain`.
    """
    place = Place(lake.as_made(profile), lake, hookpoint)
    explainer = registry.make(settings.explainer, settings.options)
    terms = terms_of(place, selection, settings, explainer)
    if not isinstance(explainer, AskedExplainer):
        return None
    outcomes = Outcomes(explainer, terms)
    latents = wanted_latents(latents)
    explainable = outcomes.wanted(_explainable(explainer, terms, latents), latents)
    pending = [latent for latent in explainable if not outcomes.has_text(latent)]
    without_llm = routed(terms, pending)
    pending = [latent for latent in pending if latent not in without_llm]
    chosen = drawn(pending, sample, terms.seed)
    requests = loop.run(_planned(explainer, terms, chosen))
    model = settings.explainer_model
    return Planned("explain", hookpoint, model, len(pending), len(chosen), requests)


async def _planned(
    explainer: AskedExplainer, terms: Terms, latents: Collection[int]
) -> list[Request]:
    requests: list[Request] = []

    async def ask(
        request: Request,
        read: Callable[[Completion], Result],
        failure_of: Callable[[Result], str | None],
    ) -> repair.ReadAnswer[Result]:
        requests.append(request)
        given = stand_in(request)
        return repair.ReadAnswer(given, read(given))

    for record in _records(terms, latents) if latents else ():
        await explainer.explain(record, terms, ask)
    return requests


def _report_stored(outcomes: Outcomes, latents: Latents, start: float) -> StageReport:
    """What there is when the explainer writes nothing."""
    stored = [one for one in outcomes.of_selection if _asked_for(one.latent, latents)]
    tried = {one.latent for one in stored}
    explained = {one.latent for one in stored if one.has_text}
    return StageReport(
        rows=len(outcomes),
        new_rows=0,
        seconds=time.perf_counter() - start,
        facts={
            "asked": _count(latents) if latents.ranges else len(tried),
            "explained": len(explained),
            "failed": len(tried - explained),
            "rows_of_selection": len(outcomes.of_selection),
        },
    )


def _asked_for(latent: object, latents: Latents) -> bool:
    return latent in latents


def _explainable(explainer: Explainer, terms: Terms, latents: Latents) -> list[int]:
    """Latents asked for with the windows that the explainer needs, in order."""
    files = terms.examples.files()
    with database.open_database(terms.lake) as con:
        rows = database.query(con, "explanations/explainable", files=files).to_pylist()
    if explainer.needs_non_activating(terms.settings):
        rows = [row for row in rows if row["n_train_non_activating"]]
        if not rows:
            raise NotReadyError(
                f"explain.explainer = {terms.settings.explainer!r} needs non-activating train "
                f"windows, and the selection {terms.selection!r} of {terms.hookpoint!r} in run "
                f"{terms.run!r} has none; set selection.n_non_activating_train, with another "
                "selection.name, and materialize the asset 'examples'."
            )
    return [row["latent"] for row in rows if row["n_train"] and row["latent"] in latents]


class _Written(NamedTuple):
    """What the explainer added."""

    rows: int
    usage: dict[str, Fact]


def _compute(explainer: Explainer, terms: Terms, work: _Work) -> _Written:
    if not work.pending:
        return _Written(0, Usage().facts() if isinstance(explainer, AskedExplainer) else {})
    assert isinstance(explainer, ComputedExplainer), "there is no other kind that makes candidates"
    with _progress(terms, work.pending) as bar:
        records = _records(terms, work.pending)
        return _Written(compute(explainer, terms, work.outcomes, records, bar), {})


def _is_failed(candidates: Sequence[Candidate]) -> bool:
    """Whether a latent is left without a text."""
    return all(candidate.explanation.text is None for candidate in candidates)


async def _ask(explainer: AskedExplainer, terms: Terms, work: _Work) -> _Written:
    if not (pending := work.pending):
        return _Written(0, Usage().facts())
    outcomes = work.outcomes
    model, seed, written = terms.settings.explainer_model, terms.profile.run.seed, 0
    owner = f"explanations {terms.hookpoint}"
    tally = Tally(model, f"{terms.hookpoint!r}", work.has_texts)
    with _progress(terms, pending) as bar:

        def left() -> str:
            n_left = len(pending) - bar.n
            return f"{n_left} of {len(pending)} latents to explain at {terms.hookpoint!r}"

        async with (
            RowWriter(terms.lake, EXPLANATIONS, terms.keys) as writer,
            Client(terms.llm, model, terms.lake, terms.run, seed, left, owner) as client,
        ):

            async def ask(
                request: Request,
                read: Callable[[Completion], Result],
                failure_of: Callable[[Result], str | None],
            ) -> repair.ReadAnswer[Result]:
                if (failure := outcomes.final.get(request.hash)) is not None:
                    stored = failed(request, failure, "as stored", 0.0, 0)
                    return repair.ReadAnswer(stored, read(stored))
                reply = await repair.ask(client, request, read, failure_of, terms.prompts)
                tally.count(failure_of(reply.result), reply.completion)
                return reply

            async def explain_one(record: LatentRecord) -> None:
                nonlocal written
                candidates = await explainer.explain(record, terms, ask)
                if rows := outcomes.news(record.latent, candidates):
                    added = await writer.submit(rows)
                    written += added
                bar.fail(_is_failed(candidates))
                bar.update()

            await loop.for_each(_records(terms, pending), explain_one, client.workers)
    tally.check()
    return _Written(written, client.usage.facts())


def _records(terms: Terms, pending: Collection[int]) -> Iterator[LatentRecord]:
    """The latents' records without what the scorers judge."""
    span = Latents(((min(pending), max(pending) + 1),))
    for record in terms.examples.records(span):
        if record.latent in pending:
            yield LatentRecord(record.latent, [*record.train, *record.train_non_activating])


def _progress(terms: Terms, pending: Collection[int]) -> Bar:
    return Bar(total=len(pending), desc=f"explain {terms.hookpoint}", unit="latent")


def _count(latents: Latents) -> int:
    """How many latents the ranges name, overlaps counted once."""
    count = reached = 0
    for start, end in sorted(latents.ranges):
        count += max(0, end - max(start, reached))
        reached = max(reached, end)
    return count

"""One question to the explainer and one to the judge of a latent, to be looked at before a run.

In: a profile whose examples are in the lake, and a latent. Out: a `Trial` of each: what was asked,
what came back, how it was read and what it cost.

Nothing is stored as an explanation or a prediction. An answer of an LLM is stored in the table
completions, as always, and the questions are the very ones that the stages ask: what is paid for
here, a later run takes from there.
"""

from collections.abc import Sequence
from typing import NamedTuple

from delphi_assets.errors import NotReadyError
from delphi_assets.explainers import registry
from delphi_assets.explainers.explainer import AskedExplainer, ComputedExplainer, NoTextError
from delphi_assets.explainers.explanations import terms_of
from delphi_assets.explainers.routes import ROUTES, routed
from delphi_assets.ground.batches import batches
from delphi_assets.lake import claims
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place
from delphi_assets.latent_ranges import Latents
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.asking.keys import check_model
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.reading.in_words import in_words
from delphi_assets.reading.records import LatentRecord
from delphi_assets.scorers.predictions import scorer_of
from delphi_assets.scorers.work.explained import Explained, stored_explanations
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Answer, Asked
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import Profile

_TRIED = "tried"


class Cost(NamedTuple):
    """What one answer came to."""

    reused: bool
    """Whether it was paid for before, and taken from the table completions."""
    prompt_tokens: int | None
    completion_tokens: int | None
    dollars: float | None
    """None where the price is not known."""


class Trial(NamedTuple):
    """One question, or one computation."""

    by: str
    """Who was asked: explainer or scorer, and model."""
    messages: Sequence[Message]
    """What an LLM was sent; empty without one."""
    answer: str | None
    """What came back, as it came; the failure of a call that gave nothing."""
    read: str
    """What a run would make of it."""
    cost: Cost | None
    """None without an LLM."""


class Tried(NamedTuple):
    """Both sides."""

    explainer: Trial
    judge: Trial


def try_latent(
    profile: Profile, lake: Lake, hookpoint: str, latent: int, scorer: str | None = None
) -> Tried:
    """Ask about one latent; the judge is that of `scorer`, of the profile's first without it.

    Raises `NotReadyError` without examples of the latent, `SettingError` when a model cannot be
    asked, and what asking raises.
    """
    profile = lake.as_made(profile)
    settings, selection = profile.score, profile.selection.name
    scoring = Scoring(profile, lake, hookpoint, selection, settings)
    span = Latents(((latent, latent + 1),))
    record = next(scoring.examples.records(span), None)
    if record is None:
        raise NotReadyError(
            f"latent {latent} has no examples of {hookpoint!r} in run {scoring.run!r} for the "
            f"selection {selection!r} in {lake!r}; expected a latent that can be "
            "explained, see the table eligibility."
        )
    explained, by_explainer = _explain(scoring, record)
    return Tried(by_explainer, _judge(scoring, record, explained, scorer or settings.scorers[0]))


def _explain(scoring: Scoring, record: LatentRecord) -> tuple[Explained | None, Trial]:
    settings = scoring.profile.explain
    explainer = registry.make(settings.explainer, settings.options)
    terms = terms_of(scoring, scoring.selection, settings, explainer)
    shown = LatentRecord(record.latent, [*record.train, *record.train_non_activating])
    name, model = settings.explainer, settings.explainer_model
    if isinstance(explainer, ComputedExplainer):
        try:
            text = told = explainer.open(terms)(shown)
        except NoTextError as error:
            text, told = "", f"nothing ({error})"
        if (sentence := in_words(told)) != told:
            told = f"{told}\n(to a person: {sentence})"
        trial = Trial(name, (), None, told or "nothing: a failure", None)
        model = name
    elif without_llm := routed(terms, [record.latent]).get(record.latent):
        told = f"{without_llm.text}\n(route {without_llm.route}: {without_llm.reason})"
        trial = Trial(f"{name}, {ROUTES}", (), None, told, None)
        text, model = without_llm.text, ROUTES
    elif isinstance(explainer, AskedExplainer):
        check_model(terms.llm, "explain.explainer_model", model)
        request = explainer.request(shown, terms)
        completion, cost = _ask(scoring, "explanations", request)
        read = explainer.read(completion)
        text = read.text or ""
        told = read.text if read.text is not None else f"failure: {read.failure}"
        trial = Trial(f"{name}, {model}", request.messages, _answer(completion), told, cost)
    else:
        told = "it writes nothing; a stored explanation is judged, if there is one"
        trial = Trial(name, (), None, told, None)
        return _stored(scoring, record.latent, None), trial
    if not text.strip():
        return None, trial
    made = Explained(record.latent, _TRIED, name, model, explainer.prompt_hash(terms), text)
    return _stored(scoring, record.latent, text) or made, trial


def _stored(scoring: Scoring, latent: int, text: str | None) -> Explained | None:
    """The stored explanation of that text, or any; scorers know its neighbours' by its id."""
    try:
        stored = stored_explanations(scoring, scoring.profile.explain.explainer)
    except NotReadyError:
        return None
    of_latent = [one for one in stored if one.latent == latent]
    return next((one for one in of_latent if text in (None, one.explanation)), None)


def _judge(scoring: Scoring, record: LatentRecord, explained: Explained | None, name: str) -> Trial:
    scorer = scorer_of(name, scoring)
    judge = scorer.judge
    by = f"{scorer.name}, {judge.model}"
    if explained is None:
        return Trial(by, (), None, "nothing is judged: there is no explanation", None)
    if not judge.reads(explained):
        told = f"nothing is judged: this judge reads no explanation by {explained.explainer!r}"
        return Trial(by, (), None, told, None)
    items = scorer.items(record, explained)
    if not items:
        return Trial(by, (), None, "nothing is judged: the scorer has nothing to ask", None)
    if not isinstance(judge, Asked):
        return Trial(by, (), None, _told(items, judge.answer(explained, items)), None)
    check_model(scoring.profile.llm, "score.scorer_model", judge.model)
    batch = next(batches(items, judge.batch_size))
    request = judge.request(explained, batch)
    completion, cost = _ask(scoring, "predictions", request)
    told = _told(batch, judge.read(completion, batch))
    return Trial(by, request.messages, _answer(completion), told, cost)


def _ask(place: Place, stage: str, request: Request) -> tuple[Completion, Cost]:
    """Ask as the stage would, but one question at once: a batch would be waited for."""
    llm = place.profile.llm.model_copy(update={"batch": False})
    of_run = place.lake, place.run, place.profile.run.seed
    owner = f"{stage} {place.hookpoint}"

    async def ask() -> tuple[Completion, bool]:
        async with Client(llm, request.model, *of_run, owner=owner) as client:
            completion = await client.complete(request)
            return completion, bool(client.usage.reused)

    with claims.asking(place.lake, stage, place.keys):
        completion, reused = loop.run(ask())
    return completion, Cost(
        reused, completion.prompt_tokens, completion.completion_tokens, completion.cost
    )


def _answer(completion: Completion) -> str:
    return completion.answer if completion.answer is not None else str(completion.error)


def _told(items: Sequence[Item], answers: Sequence[Answer]) -> str:
    """A line an item: what it was taken for, and what it is."""
    return "\n".join(
        f"{_said(answer)} for a window that is {item.truth!s:5} {item.variant}".rstrip()
        for item, answer in zip(items, answers, strict=True)
    )


def _said(answer: Answer) -> str:
    if answer.failure is not None:
        return f"failure: {answer.failure}"
    given = [
        f"{name} {value}"
        for name, value in answer._asdict().items()
        if value is not None and name != "simulated"
    ]
    if answer.simulated is not None:
        given.append(f"activations {' '.join(f'{one:.3g}' for one in answer.simulated)}")
    return ", ".join(given)

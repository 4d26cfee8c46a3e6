"""A judge is asked about latents that are known: what `delphi-assets calibrate` does.

In: a profile whose judge is an LLM. Out: cards of the judge, rows of the table judges under the
profile's run, one for each scorer and way to ask.

1. `planted_windows`: a planted run on the profile's contexts, and few windows of each latent.
2. `plan`: as many latents as the tokens allow, and what asking about them comes to.
3. Each scorer asks in each way (`ways`), by the stage predictions: what a run would ask, stored as
   a run stores it, so what was answered is not asked again. The budgets of the profile hold, for
   the planted run as for any other.
4. `strong_llm`: the same judge on windows that a strong LLM has judged.
5. `cards`: what came of it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from delphi_assets.errors import NoAnswerError, SettingError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import Bar
from delphi_assets.lake.growing_tables import Row
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.asking.keys import check_model
from delphi_assets.llm.calls import failures
from delphi_assets.llm.money.estimates import Estimate, Planned, estimate
from delphi_assets.runs.calibration.cards import card, with_agreement, write_cards
from delphi_assets.runs.calibration.plan import TOKENS, Plan, plan
from delphi_assets.runs.calibration.planted_windows import (
    Bench,
    bench_of,
    descriptions_of,
    explain_by,
)
from delphi_assets.runs.calibration.strong_llm import agreement
from delphi_assets.runs.calibration.ways import CALIBRATED, Way, ways_of
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import Profile


class Calibration(NamedTuple):
    """What is to be asked, and of whom; nothing is asked yet."""

    run: str
    """The profile's, whose judge it is."""
    bench: Bench
    scorers: Sequence[str]
    ways: Sequence[Way]
    plan: Plan
    estimate: Estimate


def prepare(
    profile: Profile,
    lake: Lake,
    planted_run: str = "planted",
    scorers: Sequence[str] = (),
    tokens: int = TOKENS,
) -> Calibration:
    """What calibrating the profile's judge comes to, for `scorers` or those of the profile.

    Makes the planted run and its windows where they are not there. Raises `SettingError` for a
    judge that is no LLM, or whose key or model is not there, and for scorers that are not
    calibrated; `ConflictError` for a planted run of another corpus; as the stages otherwise.
    """
    judge = profile.score.scorer_model
    if not profile.score.asks_llm:
        raise SettingError(
            "score.scorer_model = 'lexical' counts tokens and is no LLM: there is nothing to "
            "calibrate, and `python -m benchmarks truth` says what it sees; expected a LiteLLM "
            "model string, such as 'local/qwen2.5-coder-1.5b'."
        )
    asked = _scorers(profile, scorers)
    check_model(profile.llm, "score.scorer_model", judge)
    ways = ways_of(profile.score)
    side = -(-max(way.size for way in ways) // 2)
    bench = bench_of(profile, lake, planted_run, side)
    planned = plan(bench, descriptions_of(bench, side), asked, ways, tokens)
    n = len(planned.latents) + len(planned.strong)
    questions = Planned("calibrate", bench.hookpoint, judge, n, n, planned.requests)
    costs = estimate(lake, bench.run, profile.llm, questions)
    return Calibration(profile.run.name, bench, asked, ways, planned, costs)


def _scorers(profile: Profile, given: Sequence[str]) -> list[str]:
    """Scorers whose judge is calibrated: all that are given, or those of the profile."""
    wanted = list(dict.fromkeys(given or profile.score.scorers))
    found = [name for name in wanted if name in CALIBRATED]
    if not found or (given and len(found) < len(wanted)):
        raise SettingError(
            f"scorers {wanted}; expected some of {list(CALIBRATED)}, whose judge answers yes or no "
            "to windows. Give --scorers."
        )
    return found


@terminable()
def calibrate(calibration: Calibration) -> list[Row]:
    """Ask what is not answered, and write the cards; returns them.

    A way in which no answer can be used is a card that says so. Raises `NoAnswerError` when that is
    so for every way, or at once when the server gives none, and as the stage predictions when it
    stays away, a key is refused or a budget is used up: what was answered is stored, and asking
    again goes on.
    """
    bench, chosen = calibration.bench, calibration.plan
    explain_by(bench, chosen.descriptions)
    cards, failed = list[Row](), list[NoAnswerError]()
    n = len(calibration.scorers) * len(calibration.ways)
    with Bar(total=n, desc="calibrate", unit="way") as bar:
        for scorer in calibration.scorers:
            for way in calibration.ways:
                found = list(_asked(bench, chosen, scorer, way, failed))
                cards += found
                bar.update()
    written = write_cards(bench, calibration.run, cards)
    if failed and all(one["failed_share"] == 1 for one in cards):
        raise failed[0]
    return written


def _asked(
    bench: Bench, chosen: Plan, scorer: str, way: Way, failed: list[NoAnswerError]
) -> Iterator[Row]:
    """The cards of one way: with log-probabilities, and what the same answers say without."""
    refused = None
    try:
        _score(bench, chosen, scorer, way)
    except NoAnswerError as error:
        refused = error
        failed.append(error)
    told = card(bench, scorer, way, way)
    if told is None:
        return
    reason = str(told["failures"]).partition(" ")[0]
    if refused is not None and reason in failures.RETRYABLE:
        # No way to ask makes a server answer that does not.
        raise refused
    if told["failed_share"] == 1:
        yield told
        # It may be asking for log-probabilities that a server refuses.
        if way.log_prob and way.without is not None:
            yield from _asked(bench, chosen, scorer, way.without, failed)
        return
    agreed = agreement(bench, scorer, way, chosen.strong) if chosen.strong else {}
    yield with_agreement(told, agreed)
    if way.log_prob and way.without is not None:
        by_words = card(bench, scorer, way, way.without)
        assert by_words is not None, "it was asked"
        yield with_agreement(by_words, agreed)


def _score(bench: Bench, chosen: Plan, scorer: str, way: Way) -> None:
    settings, selection = way.settings(bench.profile.score, scorer), bench.selection
    place = bench.profile, bench.lake, bench.hookpoint
    score(*place, chosen.latents, settings, selection, explainer="all")

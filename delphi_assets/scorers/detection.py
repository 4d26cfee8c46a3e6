"""Detection: which of these windows does the explanation match?

The items are a latent's test windows (it fires: true) and its non-activating windows (false), as
plain text, in a seeded order.
"""

from delphi_assets.reading.records import LatentRecord
from delphi_assets.scorers.judges.single_windows import judge_of
from delphi_assets.scorers.work.items import Item, shuffled
from delphi_assets.scorers.work.scorer import Scorer
from delphi_assets.scorers.work.scoring import Scoring

NAME, PLAIN = "detection", "plain"


def detection(scoring: Scoring) -> Scorer[Item]:
    """The scorer, with the judge that the settings name."""
    return Scorer(
        name=NAME,
        items=lambda record, _: items(record, scoring.latent_seed(record.latent)),
        n_items=sum,
        judge=judge_of(NAME, scoring),
    )


def items(record: LatentRecord, seed: str) -> list[Item]:
    """The record's items; `seed` names run, hookpoint, latent and seed."""
    return shuffled(
        (
            Item(
                example=example.example,
                variant=PLAIN,
                truth=example.activating,
                quantile=example.quantile,
                str_tokens=tuple(example.str_tokens),
            )
            for example in (*record.test, *record.non_activating)
        ),
        f"{seed}|{NAME}",
    )

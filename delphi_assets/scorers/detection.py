"""Detection: which of these windows does the explanation match?

In: a record. Out: its test windows (the latent fires: true) and its non-activating windows (false),
as plain text, in a seeded order.
"""

from delphi_assets.records import LatentRecord
from delphi_assets.scorers.items import Item, shuffled

PLAIN = "plain"


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
        f"{seed}|detection",
    )

"""A small lake written row by row, with numbers that can be checked by hand."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import TABLES

RUN, HOOKPOINT = "hand", "layers.0"
PLACE = {"run": RUN, "hookpoint": HOOKPOINT}
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


def add(lake: Lake, table: str, rows: Sequence[Row], **elsewhere: str) -> None:
    """Add rows at `RUN` and `HOOKPOINT`, or elsewhere; columns that a row leaves out are null."""
    schema = TABLES[table]
    full = [{name: row.get(name) for name in schema.arrow.names} for row in rows]
    names = [key.name for key in schema.keys]
    keys: dict[str, str | int] = {
        "selection": "default",
        "bucket": 0,
        "shard": 0,
        **PLACE,
        **elsewhere,
    }
    lake.append(schema, {name: keys[name] for name in names}, schema.from_rows(full))


def publish(lake: Lake, table: str, rows: Sequence[Row], **keys: str | int) -> None:
    """Publish rows as one unit at `RUN` and `HOOKPOINT`, `keys` apart."""
    schema = TABLES[table]
    full = [{name: row.get(name) for name in schema.arrow.names} for row in rows]
    lake.publish(Unit(table, {**PLACE, **keys}), [File(schema.from_rows(full))], config={})


def latent(index: int, tokens: dict[str, float], **columns: object) -> Row:
    """A row of `latents`; `tokens` are top tokens with their shares."""
    return {
        "latent": index,
        "top_tokens": list(tokens),
        "top_token_shares": list(tokens.values()),
        "written_at": WRITTEN,
        **columns,
    }


def explanation(
    explanation_id: str, index: int, text: str | None, model: str = "lexical", **columns: object
) -> Row:
    """A row of `explanations`, by the lexical explainer unless `model` says otherwise."""
    return {
        "explanation_id": explanation_id,
        "latent": index,
        "selection": "default",
        "explainer": "lexical" if model == "lexical" else "default",
        "explainer_model": model,
        "explanation": text,
        "written_at": WRITTEN,
        **columns,
    }


def answers(
    explanation_id: str,
    index: int,
    given: Iterable[tuple[bool, float | bool | str]],
    scorer: str = "detection",
    model: str = "lexical",
    control: str = "none",
    **columns: object,
) -> list[Row]:
    """Rows of `predictions`, one per (truth, answer).

    An answer is a probability, a bare verdict without probability, or the reason of a failure.
    """
    return [
        {
            "explanation_id": explanation_id,
            "latent": index,
            "selection": "default",
            "scorer": scorer,
            "judge": model,
            "judge_hash": "asked",
            "control": control,
            "example": example,
            "variant": "plain",
            "truth": truth,
            "prediction": None if isinstance(answer, str) else answer >= 0.5,
            "probability": answer if isinstance(answer, float) else None,
            "failure": answer if isinstance(answer, str) else None,
            "written_at": WRITTEN,
            **columns,
        }
        for example, (truth, answer) in enumerate(given)
    ]


def window(
    index: int,
    example: int,
    split: str,
    position: int,
    activations: Sequence[float],
    **columns: object,
) -> Row:
    """A row of `examples`, one token per activation; the tokens read a, b, c, ..."""
    return {
        "latent": index,
        "example": example,
        "activating": any(activations),
        "split": split,
        "source": "hand",
        "position": position,
        "tokens": list(range(len(activations))),
        "str_tokens": [chr(ord("a") + offset) for offset in range(len(activations))],
        "activations": list(activations),
        "normalized": [0] * len(activations),
        "max_activation": max(activations),
        **columns,
    }

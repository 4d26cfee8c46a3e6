"""What a strong LLM said of windows of a demo's latents, and whether a judge says the same.

In: `strong_llm.json.gz`, which comes with this package: of twelve latents of the demo the windows
that were judged, a strong LLM's own explanation, and its answers in detection and fuzz. Out: the
questions a scorer makes of them, and of a judge's answers how far they agree.

The windows are asked about as they are stored. Which tokens are marked in a silent window of fuzz
is not, and is drawn anew. Nobody is to fit prompts to these latents: they are there to compare.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import pyarrow as pa

from delphi_assets.ground.batches import batches
from delphi_assets.ground.progress import Bar
from delphi_assets.lake import claims, database
from delphi_assets.llm.asking import loop, repair
from delphi_assets.llm.asking.client import Client
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.runs.calibration.planted_windows import Bench
from delphi_assets.runs.calibration.ways import Way
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Asked, Scorer

FILE = "strong_llm.json.gz"
MOST = 10
"""Windows of a latent that a judge is asked about: the first of the scorer's order."""
_GIVEN = pa.schema(
    {
        "latent": pa.int32(),
        "strong": pa.bool_(),
        "prediction": pa.bool_(),
        "probability": pa.float64(),
    }
)


class StrongLatent(NamedTuple):
    """A latent with what a strong LLM said of it."""

    record: LatentRecord
    explained: Explained
    answers: dict[str, dict[int, bool]]
    """Its yes or no by scorer and example."""


class StrongQuestion(NamedTuple):
    """A few of its windows."""

    of: StrongLatent
    items: Sequence[Item]


@cache
def strong_latents() -> tuple[StrongLatent, ...]:
    """The twelve, in order."""
    packed = (resources.files(__package__) / FILE).read_bytes()
    return tuple(map(_latent, json.loads(gzip.decompress(packed))))


def _latent(stored: dict[str, Any]) -> StrongLatent:
    latent = stored["latent"]
    examples = [_example(one, stored["latent_max"]) for one in stored["windows"]]
    text = stored["explanation"]
    return StrongLatent(
        LatentRecord(latent, examples),
        Explained(latent, f"strong {latent}", "default", "strong", None, text),
        {
            scorer: {int(example): said for example, said in of_scorer.items()}
            for scorer, of_scorer in stored["answers"].items()
        },
    )


def _example(stored: dict[str, Any], latent_max: float) -> Example:
    activations = stored["activations"]
    return Example(
        example=stored["example"],
        activating=stored["activating"],
        split="test",
        source="quantiles" if stored["activating"] else "random",
        quantile=stored["quantile"],
        position=0,
        tokens=[0] * len(activations),
        str_tokens=stored["tokens"],
        activations=activations,
        normalized=[0] * len(activations),
        max_activation=max(activations),
        latent_max=latent_max,
    )


def strong_questions(
    scorer: Scorer[Any], latents: Sequence[StrongLatent]
) -> Iterator[StrongQuestion]:
    """What a scorer makes of these latents, cut as its judge wants them.

    Of fuzz by other marks in windows in which the latent fires (`fuzz_type = "active"`) the strong
    LLM was not asked.
    """
    judge = scorer.judge
    assert isinstance(judge, Asked)
    for one in latents:
        fires = {example.example: example.activating for example in one.record.examples}
        made = scorer.items(one.record, one.explained)
        items = [item for item in made if item.truth == fires[item.example]]
        for batch in batches(items[:MOST], judge.batch_size):
            yield StrongQuestion(one, batch)


def agreement(
    bench: Bench, name: str, way: Way, latents: Sequence[StrongLatent]
) -> dict[bool, dict[str, Any]]:
    """Columns of the table judges that tell of the strong LLM, by whether log-probabilities count.

    Raises as the stage predictions does when a server stays away or a budget is used up.
    """
    with claims.asking(bench.lake, "predictions", bench.keys):
        rows = loop.run(_ask(bench, bench.scorer(name, way), latents))
    with database.connect(bench.lake, up_to_date=False) as con:
        con.register("given", pa.Table.from_pylist(rows, schema=_GIVEN))
        return {
            by_log_prob: database.query(
                con, "judges/agreement", by_log_prob=by_log_prob
            ).to_pylist()[0]
            for by_log_prob in (False, True)
        }


async def _ask(
    bench: Bench, scorer: Scorer[Any], latents: Sequence[StrongLatent]
) -> list[dict[str, object]]:
    judge, rows = scorer.judge, list[dict[str, object]]()
    assert isinstance(judge, Asked)
    asked = list(strong_questions(scorer, latents))
    profile, owner = bench.profile, f"predictions {bench.hookpoint}"
    client_of = profile.llm, judge.model, bench.lake, bench.run, profile.run.seed
    with Bar(total=len(asked), desc="ask as a strong LLM was", unit="question") as bar:

        def left() -> str:
            return f"{len(asked) - bar.n} of {len(asked)} questions that a strong LLM answered"

        async with Client(*client_of, left, owner) as client:

            async def ask(question: StrongQuestion) -> None:
                reply = await repair.ask(
                    client,
                    judge.request(question.of.explained, question.items),
                    lambda completion: judge.read(completion, question.items),
                    lambda answers: next((one.failure for one in answers if one.failure), None),
                    scorer.prompts or bench.scoring(scorer.name, Way("list", 1)).prompts,
                )
                said = question.of.answers[scorer.name]
                rows.extend(
                    {
                        "latent": question.of.record.latent,
                        "strong": said[item.example],
                        "prediction": answer.prediction,
                        "probability": answer.probability,
                    }
                    for item, answer in zip(question.items, reply.result, strict=True)
                )
                bar.fail(sum(answer.failure is not None for answer in reply.result))
                bar.update()

            await loop.for_each(iter(asked), ask, client.workers)
    return rows

"""Do explanations by our prompts beat those by Delphi's, of the same model on the same windows?

    python -m benchmarks explainer_prompts LAKE --run planted --hookpoint planted
        --delphi ENVIRONMENT/bin/python [--model local/qwen2.5-coder-1.5b] [--latents 60]
    python -m benchmarks explainer_prompts LAKE --variants 1 benchmarks/prompt_variants/*

Needs examples of the run, and for Delphi a Python in which eai-delphi is installed.

1. Latents that have windows, in the order of a hash, up to `--latents`; but those of `--but`, on
   which prompts may have been tried.
2. Each is explained from its train windows by the shipped explainer `default`; by the messages that
   Delphi's own code makes of the same windows (`parts.delphi_messages`); and by each variant of our
   prompts, a folder as `explain.prompts` takes it or the number of a version; all by one model.
3. The same model judges all on the same test windows, one window a question, and so does
   `embedding`. What is in the lake is not asked again, so a run that was stopped goes on.
4. Tell, of all that is in the lake by these explainers, for each of the others both means, and ours
   minus theirs by latent with its 95% interval (`sql/analysis/explainers_paired.sql`); and how many
   texts are the same as another latent's, say that there is no clear pattern, or repeat a worked
   example of ours.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import delphi_assets as da
from benchmarks.parts.record import ROOT, Measured, Number, Numbers
from delphi_assets import connect, query
from delphi_assets.errors import DataError
from delphi_assets.explainers.default import DefaultExplainer
from delphi_assets.explainers.explainer import Explainer
from delphi_assets.explainers.functions import PromptExplainer
from delphi_assets.explainers.terms import Terms
from delphi_assets.latent_ranges import as_text, parse_latents
from delphi_assets.llm.calls.requests import Message
from delphi_assets.prompts import Prompts, worked_explanations
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.settings import load_profile

OURS, DELPHI = "prompts_shipped", "prompts_delphi"
"""Names of their own: what a lake has by the explainer `default` may be of earlier prompts."""
SCORERS = ("detection", "embedding")

LATENTS = """
    select eligibility.latent
    from eligibility
    where
        run = $run and hookpoint = $hookpoint and selection = $selection and code = 'eligible'
    order by md5('prompts' || eligibility.latent)
"""


TEXTS = """
    select
        explainer, count(*), count(distinct explanation),
        count(*) filter (no_pattern(explanation))
    from explanations
    where
        run = $run and hookpoint = $hookpoint and selection = $selection
        and explainer_model = $model
        and starts_with(explainer, 'prompts_')
        and explanation is not null
    group by explainer
    order by explainer
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lake and its run, the model, and where Delphi is."""
    parser.add_argument("lake")
    parser.add_argument("--run", default="planted")
    parser.add_argument("--hookpoint", default="planted")
    parser.add_argument("--selection", default="default")
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--delphi", help="a Python where eai-delphi is installed")
    parser.add_argument(
        "--variants", nargs="+", default=[], help="folders of prompts, or versions of the shipped"
    )
    parser.add_argument("--latents", type=int, default=60)
    parser.add_argument("--but", default="", help="latents to leave out, such as '0-4, 17'")
    parser.add_argument("--profile", help="the run's profile, for how the LLM is asked")


def measure(given: argparse.Namespace) -> Measured:
    """Explain by all, judge, compare."""
    hookpoint = da.Hookpoint(given.lake, given.run, given.hookpoint, given.selection)
    latents = as_text(sorted(_latents(given)))
    profile = load_profile(given.profile) if given.profile else None
    others = {f"prompts_{Path(named).name}": _named(named) for named in given.variants}
    if given.delphi:
        others[DELPHI] = _delphi(given.delphi, list(hookpoint.latents(latents)))
    explainers = {OURS: _Variant(Prompts()), **others}
    for name, explainer in explainers.items():
        da.register_explainer(name, explainer)
    for explainer_name in explainers:
        hookpoint.explain(
            latents,
            profile,
            explainer=explainer_name,
            explainer_model=given.model,
            prompt_version="latest",
        )
        hookpoint.score(
            latents,
            profile,
            explainer_name,
            scorers=SCORERS,
            scorer_model=given.model,
            answer="first_token",
            prompt_version="latest",
            controls=(),
        )
    numbers = _texts(given)
    for name in others:
        numbers |= _compared(given, name)
    return Measured(numbers)


class _Variant(DefaultExplainer):
    """The explainer `default` with these prompts."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def instructions(self, terms: Terms) -> tuple[Message, ...]:
        return super().instructions(self._terms(terms))

    def layout(self, terms: Terms) -> Mapping[str, str]:
        return super().layout(self._terms(terms))

    def question(self, record: LatentRecord, terms: Terms) -> str:
        return super().question(record, self._terms(terms))

    def _terms(self, terms: Terms) -> Terms:
        return replace(terms, prompts=self._prompts)


def _named(variant: str) -> Explainer:
    """A folder of prompts, or a version of the shipped."""
    return _Variant(Prompts(version=int(variant)) if variant.isdigit() else Prompts(variant))


def _delphi(python: str, records: Sequence[LatentRecord]) -> Explainer:
    made = _delphis(python, records)
    return PromptExplainer(lambda record, terms: made[record.latent])


def _latents(given: argparse.Namespace) -> list[int]:
    named = {"run": given.run, "hookpoint": given.hookpoint, "selection": given.selection}
    left_out = parse_latents(given.but) if given.but else ()
    with connect(given.lake) as con:
        found = [row[0] for row in con.execute(LATENTS, named).fetchall()]
    return [latent for latent in found if latent not in left_out][: given.latents]


def _delphis(python: str, records: Sequence[LatentRecord]) -> dict[int, tuple[Message, ...]]:
    """Delphi's messages about the train windows, by latent."""
    asked = [
        {"latent": record.latent, "windows": [_window(one) for one in record.train]}
        for record in records
    ]
    with tempfile.TemporaryDirectory() as folder:
        windows, messages = Path(folder) / "windows.json", Path(folder) / "messages.json"
        windows.write_text(json.dumps(asked), encoding="utf-8")
        command = [python, "-m", "benchmarks.parts.delphi_messages", str(windows), str(messages)]
        if subprocess.run(command, check=False, cwd=ROOT).returncode:
            raise DataError(
                f"--delphi {python!r} did not make Delphi's messages (above is why); expected a "
                "Python in which eai-delphi can be imported."
            )
        made = json.loads(messages.read_text(encoding="utf-8"))
    return {
        int(latent): tuple(Message(turn["role"], turn["content"]) for turn in turns)
        for latent, turns in made.items()
    }


def _window(example: Example) -> dict[str, object]:
    return {
        "str_tokens": example.str_tokens,
        "activations": example.activations,
        "normalized": example.normalized,
    }


def _compared(given: argparse.Namespace, other: str) -> Numbers:
    with connect(given.lake) as con:
        rows = query(
            con,
            "analysis/explainers_paired",
            run=given.run,
            hookpoint=given.hookpoint,
            explainer=OURS,
            explainer_model=given.model,
            other_explainer=other,
            other_explainer_model=given.model,
        ).to_pylist()
    return {
        f"{other}: {_judged(row)}: {name}": Number(value, unit)
        for row in rows
        if row["selection"] == given.selection
        for name, value, unit in (
            ("ours", row["own"], row["metric"]),
            ("theirs", row["other"], row["metric"]),
            ("ours above theirs", row["difference"], row["metric"]),
            ("from", row["difference_low"], row["metric"]),
            ("to", row["difference_high"], row["metric"]),
            ("latents", row["n_latents"], "latents"),
        )
        if value is not None
    }


def _judged(row: Mapping[str, object]) -> str:
    """Who judged, how it was asked and by which metric."""
    return f"{row['scorer']}, {row['judge']} {str(row['judge_hash'])[:8]}, {row['metric']}"


def _texts(given: argparse.Namespace) -> Numbers:
    """What kinds of texts there are, of all that are in the lake by this model."""
    named = {"run": given.run, "hookpoint": given.hookpoint, "selection": given.selection}
    with connect(given.lake) as con:
        rows = con.execute(TEXTS, {**named, "model": given.model}).fetchall()
        place = {"run": given.run, "hookpoint": given.hookpoint}
        echoes = query(
            con, "checks/echoed_examples", **place, worked=worked_explanations(), n_rows=10_000
        ).to_pylist()
    return {
        f"{explainer}: {name}": Number(value, "texts")
        for explainer, texts, different, none in rows
        for name, value in (
            ("texts", texts),
            ("different texts", different),
            ("no clear pattern", none),
            ("echoes", sum(one["explainer"] == explainer for one in echoes)),
        )
    }

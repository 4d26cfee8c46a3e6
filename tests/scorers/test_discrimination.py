"""The scorer discrimination: alternatives from neighbours, and what comes of the picks."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import NotReadyError
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import NEIGHBOURS
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, Profile, ScoreSettings
from tests.parts import hand_built
from tests.parts.explained_lake import HOOKPOINT, N_TEST, RUN, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

ALL = parse_latents("all")
LEXICAL = ScoreSettings(scorers=("discrimination",), discrimination_alternatives=2)
LLM = LEXICAL.model_copy(update={"scorer_model": "openai/judge"})
BY_COUNTING = ExplainSettings(explainer="lexical")


def add_neighbours(lake: Lake, pairs: dict[int, list[int]], method: str = "decoder") -> None:
    """Neighbours of each latent, the nearest first."""
    rows: list[dict[str, object]] = [
        {"latent": latent, "neighbour": other, "rank": rank, "similarity": 1 / rank}
        for latent, others in pairs.items()
        for rank, other in enumerate(others, 1)
    ]
    unit = Unit("neighbours", {"run": RUN, "hookpoint": HOOKPOINT, "method": method})
    lake.publish(unit, [File(NEIGHBOURS.from_rows(rows))], config={})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Latents 0-4 are explained, 5 is not; 4 has no neighbour that is."""
    made = make_lake(tmp_path)
    explain(profile(), made, HOOKPOINT, parse_latents("0-4"), BY_COUNTING, SELECTION)
    add_neighbours(made, {0: [5, 1, 2, 3], 1: [0, 2], 2: [3], 3: [2, 0], 4: [5]})
    return made


def run(lake: Lake, given: Profile, settings: ScoreSettings = LEXICAL) -> StageReport:
    return score(given, lake, HOOKPOINT, ALL, settings, SELECTION)


def rows(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    return connect(lake).sql(sql).fetchall()


def test_counting_tells_latents_apart(lake: Lake) -> None:
    """Latent 4 has nothing to be told from; 2 has one alternative."""
    assert run(lake, profile()).new_rows == 4 * N_TEST
    assert run(lake, profile()).new_rows == 0
    found = rows(
        lake,
        """
        select
            latent, bool_and(prediction), min(probability) > 0.9, round(1 / min(chance)),
            max(quantile)
        from predictions group by latent order by latent
        """,
    )
    assert found == [(latent, True, True, 2 if latent == 2 else 3, 1) for latent in range(4)]
    [(judge_hash,)] = rows(lake, "select distinct judge_hash from predictions")
    asked = "lexical threshold 0.3 alternatives 2 neighbours decoder among "
    assert str(judge_hash).startswith(asked)


def test_latents_with_one_explanation_are_told_apart_by_chance(tmp_path: Path) -> None:
    """What detection cannot see: explanations that fit both windows alike."""
    lake = make_lake(tmp_path, 40)
    explain(profile(), lake, HOOKPOINT, ALL, BY_COUNTING, SELECTION)
    con = connect(lake)
    same = con.sql("select * from explanations").to_arrow_table().to_pylist()
    text = same[0]["explanation"]
    for row in same:
        row["explanation"] = text
    con.close()
    from delphi_assets.lake.schema import EXPLANATIONS

    changed = [{name: row[name] for name in EXPLANATIONS.arrow.names} for row in same]
    keys = {"run": RUN, "hookpoint": HOOKPOINT}
    for row in changed:
        row["written_at"] = hand_built.WRITTEN.replace(year=2100)
    lake.append(EXPLANATIONS, keys, EXPLANATIONS.from_rows(changed))
    add_neighbours(lake, {latent: [latent ^ 1] for latent in range(40)})
    run(lake, profile())
    share, probabilities = rows(
        lake, "select avg(prediction::int), list(distinct probability) from predictions"
    )[0]
    assert probabilities == [0.5]
    assert isinstance(share, float)
    assert 0.4 < share < 0.6


def test_the_profiles_methods_come_first(lake: Lake) -> None:
    add_neighbours(lake, {0: [1]}, "encoder")
    for methods, expected in ((["encoder"], "encoder"), (["co-occurrence"], "decoder")):
        given = profile()
        section = given.neighbours.model_copy(update={"methods": methods})
        run(lake, given.model_copy(update={"neighbours": section}))
        last = "select judge_hash from predictions order by written_at desc limit 1"
        assert f"neighbours {expected} among " in str(rows(lake, last)[0][0])


def test_without_neighbours_the_asset_is_named(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    explain(profile(), lake, HOOKPOINT, ALL, BY_COUNTING, SELECTION)
    with pytest.raises(NotReadyError, match="'neighbours'"):
        run(lake, profile())
    add_neighbours(lake, {0: [17]})
    with pytest.raises(NotReadyError, match="explain more latents"):
        run(lake, profile())


def judge(asked: Asked) -> Reply:
    """The description that names the marked word."""
    marked = re.findall("<<(.*?)>>", asked.prompt)[0]
    described = re.split(r"Description \d+:", asked.prompt)[1:]
    fitting = [number for number, text in enumerate(described, 1) if f'"{marked}"' in text]
    return Reply(json.dumps({"answer": fitting[0]}))


def test_an_llm_is_asked_about_one_window_at_a_time(lake: Lake) -> None:
    with FaultServer(judge) as server:
        report = run(lake, profile(api_base=server.url), LLM)
        assert report.new_rows == len(server.asked) == 4 * N_TEST
        assert run(lake, profile(api_base=server.url), LLM).new_rows == 0
        prompts = [asked.prompt for asked in server.asked]
    assert all(prompt.startswith("Excerpt: ") for prompt in prompts)
    assert all(prompt.count("These lines were written by counting") == 1 for prompt in prompts)
    places = {
        next(n for n, text in enumerate(re.split(r"Description \d+:", p)) if text.count("word0"))
        for p in prompts
        if "<< word0>>" in p
    }
    assert rows(lake, "select distinct prediction, control from predictions") == [(True, "none")]
    assert places <= {0, 1, 2, 3}


def test_other_alternatives_are_another_question(lake: Lake) -> None:
    """Latent 5, explained later, comes in for 0 and gives 4 its only alternative; 1-3 stay."""
    with FaultServer(judge) as server:
        given = profile(api_base=server.url)
        assert run(lake, given, LLM).new_rows == 4 * N_TEST
        before = rows(lake, "select * from predictions order by all")
        explain(profile(), lake, HOOKPOINT, ALL, BY_COUNTING, SELECTION)
        first = len(server.asked)
        assert run(lake, given, LLM).new_rows == 5 * N_TEST
        asked = server.asked[first:]
        assert {re.findall("<< word(.)>>", one.prompt)[0] for one in asked} == {"0", "4"}
        assert len(asked) == 2 * N_TEST
        assert run(lake, given, LLM).new_rows == 0
        assert len(server.asked) == first + 2 * N_TEST
    found = rows(lake, "select latent, judge_hash, n_examples from scores order by all")
    hashes = {str(row[1]) for row in found}
    assert len(hashes) == 2
    assert {row[2] for row in found} == {N_TEST}
    assert sorted(Counter(row[1] for row in found).values()) == [4, 5]
    assert set(before) < set(rows(lake, "select * from predictions"))


def test_another_explainers_explanations_are_no_other_alternatives(lake: Lake) -> None:
    assert run(lake, profile()).new_rows == 4 * N_TEST
    with FaultServer(lambda asked: Reply("[EXPLANATION]: A word.")) as server:
        llm = ExplainSettings(explainer_model="openai/tiny")
        explain(profile(api_base=server.url), lake, HOOKPOINT, ALL, llm, SELECTION)
    assert run(lake, profile()).new_rows == 0


def test_alternatives_match_a_brute_force_search(tmp_path: Path) -> None:
    draw = random.Random(5)
    lake = Lake(tmp_path / "lake")
    explained: list[dict[str, object]] = []
    for latent in range(12):
        for explainer in ("default", "lexical"):
            for copy in range(draw.choice([0, 1, 1, 2])):
                text = draw.choice(["a text", "a text", None])
                explained.append(
                    hand_built.explanation(
                        f"{explainer}-{latent}-{copy}",
                        latent,
                        text,
                        explainer=explainer,
                        written_at=hand_built.WRITTEN.replace(day=copy + 1),
                    )
                )
    near = {latent: draw.sample([n for n in range(12) if n != latent], 6) for latent in range(12)}
    hand_built.add(lake, "explanations", explained)
    hand_built.publish(
        lake,
        "neighbours",
        [
            {"latent": latent, "neighbour": other, "rank": rank, "similarity": 1 / rank}
            for latent, others in near.items()
            for rank, other in enumerate(others, 1)
        ],
        method="encoder",
    )
    place = {**hand_built.PLACE, "selection": "default", "method": "encoder"}
    found = query(connect(lake), "predictions/alternatives", **place, n_alternatives=3).to_pylist()
    expected = {}
    with_text = [row for row in explained if row["explanation"] is not None]
    for own in with_text:
        others = []
        for neighbour in near[int(str(own["latent"]))]:
            alike = [
                row
                for row in with_text
                if (row["latent"], row["explainer"]) == (neighbour, own["explainer"])
            ]
            if alike:
                others.append(max(str(row["explanation_id"]) for row in alike))
        if others:
            expected[own["explanation_id"]] = others[:3]
    assert {row["explanation_id"]: row["alternatives"] for row in found} == expected
    assert [row["explanation_id"] for row in found] == sorted(str(key) for key in expected)

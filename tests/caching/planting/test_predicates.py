"""Files of predicates: what is shipped, what is refused and how that is said."""

from pathlib import Path

import numpy as np
import pytest

from delphi_assets.caching.planting.passages import Passage
from delphi_assets.caching.planting.predicates import (
    SHIPPED,
    Predicates,
    read_predicates,
    shipped_predicates,
)
from delphi_assets.errors import SettingError
from tests.parts.documents import ROOT

ONE = """
[[predicate]]
name = "one"
kind = "words"
words = ["a"]
text = "The word \\"a\\"."
"""


def read(folder: Path, text: str) -> Predicates:
    """The predicates of a file with this text."""
    (folder / "own.toml").write_text(text, encoding="utf-8")
    return read_predicates(folder / "own.toml")


def test_what_is_shipped_has_enough_of_every_kind() -> None:
    predicates = shipped_predicates().all
    kinds = {one.kind_name for one in predicates}
    assert len(predicates) >= 120
    assert len(kinds) >= 10
    assert all(sum(one.kind_name == kind for one in predicates) >= 4 for kind in kinds)
    assert sum(one.stated.sign < 0 for one in predicates) >= 6
    flawed = [one.stated.defects for one in predicates]
    for defect in ("miss_rate", "absorbed_rate", "silent_rate", "false_fire_rate"):
        assert sum(getattr(one, defect) > 0 for one in flawed) >= 5
    assert sum(one.stronger_at is not None for one in flawed) >= 5


def test_what_is_shipped_is_described_truly_and_wrongly() -> None:
    for one in shipped_predicates().all:
        texts = [text for _, text in one.stated.wrong.rows()]
        assert one.stated.text.endswith("."), one.name
        assert all(text.endswith(".") for text in texts), one.name
        assert len({one.stated.text, *texts}) == 1 + len(texts), one.name
        if one.kind_name == "both":
            assert len(one.stated.wrong.condition_missing) == 2, one.name
        if one.kind_name not in ("random", "either", "both"):
            assert {"parent", "child", "sibling", "condition_extra"} <= {
                relation for relation, _ in one.stated.wrong.rows()
            }, one.name


def test_nothing_else_knows_what_is_shipped() -> None:
    """Neither prompts nor code hold a sentence of the file or the name of a predicate."""
    said = [one.stated.text for one in shipped_predicates().all]
    said += [one.name for one in shipped_predicates().all]
    for path in (ROOT / "delphi_assets").rglob("*"):
        if path.suffix in (".py", ".txt", ".toml", ".sql") and path != SHIPPED:
            text = path.read_text(encoding="utf-8")
            assert not [one for one in said if one in text], path


def test_one_takes_over_what_another_one_says(tmp_path: Path) -> None:
    more = 'like = "one"\ndefects.miss_rate = 0.5\nsign = -1'
    first, second = read(tmp_path, f'{ONE}\n[[predicate]]\nname = "two"\n{more}\n').all
    assert (second.name, second.kind, second.stated.text) == ("two", first.kind, first.stated.text)
    assert (second.stated.sign, second.stated.defects.miss_rate) == (-1, 0.5)


def test_predicates_may_name_those_behind_them(tmp_path: Path) -> None:
    both = '[[predicate]]\nname = "b"\nkind = "both"\nof = ["one", "line"]\ntext = "t"\n'
    line = '[[predicate]]\nname = "line"\nkind = "start"\nof = "line"\ntext = "t"\n'
    masks = read(tmp_path, both + ONE + line).masks(Passage(["A", " a", "\n", "a"]))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in masks.items()} == {
        "one": [0, 1, 3],
        "line": [0, 3],
        "b": [0, 3],
    }


def changed(old: str, new: str) -> str:
    assert old in ONE
    return ONE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"own.toml holds \[\]; expected a table \[\[predicate\]\] for each latent"),
        ("[predicate]\nname = 1", r"holds \['predicate'\]; expected a table \[\[predicate\]\]"),
        (ONE + "[other]", r"holds \['other', 'predicate'\]"),
        ("predicate = [1]", r"predicate is 1; expected \[\[predicate\]\] tables"),
        ("[[predicate]", r"are not TOML in UTF-8: "),
        (changed('"words"', '"wodrs"'), r"predicate 1 'one': kind = 'wodrs'; expected .*'words'"),
        (changed('kind = "words"\n', ""), r"kind = None; expected one of"),
        (changed('["a"]', '3'), r"'one'.words = 3: "),
        (changed('["a"]', "[]"), r"'one'.words = \[\]: .*at least 1 item.*the words"),
        (changed('["a"]', '["a", ""]'), r"'one'.words.1 = '': .*at least 1 char"),
        (ONE + 'colour = "red"', r"'one'.colour = 'red': no such setting; .*'words'"),
        (changed("text", "txet"), r"'one'.text is missing: the true description"),
        (ONE + "defects.miss_rate = 1.5", r"'one'.defects.miss_rate = 1.5: .*less than or eq"),
        (ONE + "defects.hits = 1", r"'one'.defects.hits = 1: no such.*miss_rate"),
        (ONE + 'wrong.uncle = "x"', r"'one'.wrong.uncle = .*expected one of .*'sibling'"),
        (ONE + "sign = 2", r"'one'.sign = 2: "),
        (ONE + "strength = 0", r"'one'.strength = 0: "),
        (ONE + "when = 2020-01-01", r"'one' holds what JSON cannot"),
        (changed('name = "one"', 'name = "a b"'), r"'a b'.name = 'a b': .*pattern"),
        (ONE + ONE, r"predicate 2 'one': there is one of that name above"),
        (ONE + '[[predicate]]\nname = "two"\nlike = "on"', r"'two': like = 'on'; expected .*'one'"),
        (ONE + 'defects.absorbed_by = "two"', r"'one' names 'two'; expected the name of"),
        (ONE + '[[predicate]]\nname = "p"\nkind = "pattern"\ntext = "t"\nexpression = "("',
         r"'p'.expression: '\(' is no regular expression: "),
        (ONE + '[[predicate]]\nname = "n"\nkind = "number"\ntext = "t"\nnumber = "odd"',
         r"'n'.*number = 'odd': expected one of \['any', "),
        (ONE + '[[predicate]]\nname = "r"\nkind = "random"\ntext = "t"',
         r"'r': kind = 'random' with defects.false_fire_rate = 0; expected"),
        (ONE + '[[predicate]]\nname = "f"\nkind = "nowhere:nothing"\ntext = "t"',
         r"'f': the predicate 'nowhere:nothing' cannot be imported"),
        (ONE + '[[predicate]]\nname = "b"\nkind = "both"\ntext = "t"\nof = ["b", "one"]',
         r"the predicates \['b'\] are made of each other"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none.toml cannot be read .*expected a TOML file"):
        read_predicates(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(SettingError, match="are not TOML in UTF-8"):
        read_predicates(tmp_path / "latin.toml")


def fails(passage: Passage, after: int) -> list[bool]:
    """A predicate of one's own that fails on longer passages."""
    if len(passage.tokens) > after:
        raise ValueError("too long")
    return [True] * len(passage.tokens)


def test_a_function_that_fails_is_named(tmp_path: Path) -> None:
    own = f'[[predicate]]\nname = "f"\nkind = "{__name__}:fails"\ntext = "t"\nafter = 2\n'
    predicates = read(tmp_path, own)
    assert predicates.masks(Passage(["a", "b"]))["f"].all()
    with pytest.raises(SettingError, match=r"predicate 'f' of kind '.*:fails' failed on 'abc'.*"):
        predicates.masks(Passage(["a", "b", "c"]))

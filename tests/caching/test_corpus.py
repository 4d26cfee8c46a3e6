"""Every source of documents, what is refused, and what is held in memory."""

import io
import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.caching import corpus as corpus_module
from delphi_assets.caching.corpus import Document, read_documents
from delphi_assets.caching.shuffle import shuffled
from delphi_assets.errors import DataError
from delphi_assets.settings import CorpusSettings

pytestmark = pytest.mark.slow


def read(source: Path | str, seed: int = 22, **settings: Any) -> list[Document]:
    return list(read_documents(CorpusSettings(dataset_repo=str(source), **settings), seed))


@pytest.fixture(scope="module")
def python_docs() -> list[Document]:
    return read("embedded:python-docs")


def test_python_docs_cover_topics_and_docstrings(python_docs: list[Document]) -> None:
    by_id = {document.id: document.text for document in python_docs}
    assert 'The "assert" statement' in by_id["topics/assert"]
    assert by_id["json.decoder.JSONDecoder"].startswith("Simple JSON")
    assert "textwrap" in by_id
    assert sum(map(len, by_id.values())) > 1_500_000


def test_python_docs_hold_each_id_and_text_once(python_docs: list[Document]) -> None:
    assert len({document.id for document in python_docs}) == len(python_docs)
    assert len({document.text for document in python_docs}) == len(python_docs)
    assert not [document.id for document in python_docs if document.id.startswith("idlelib")]


def test_a_prefix_of_python_docs_is_a_mixture_and_always_the_same(
    python_docs: list[Document],
) -> None:
    prefix = [document.id for document in python_docs[:200]]
    assert len({name.split(".")[0] for name in prefix}) > 50

    again = read("embedded:python-docs", shuffle_buffer=100)
    assert again == list(shuffled(python_docs, 100, 22)) != python_docs


def test_a_folder_is_read_in_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "z.md").write_text("last", encoding="utf-8")
    (tmp_path / "a.txt").write_text("first", encoding="utf-8")
    (tmp_path / "image.png").write_bytes(b"\x89")
    rows = [{"text": "x"}, {"text": ""}, {"text": None}, {"text": "y"}]
    (tmp_path / "b" / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    pq.write_table(pa.table({"text": ["p", "q"], "other": [1, 2]}), tmp_path / "c.parquet")
    assert read(tmp_path) == [
        Document("a.txt", "first"),
        Document("b/rows.jsonl#0", "x"),
        Document("b/rows.jsonl#3", "y"),
        Document("b/z.md", "last"),
        Document("c.parquet#0", "p"),
        Document("c.parquet#1", "q"),
    ]


def test_one_file_is_a_corpus(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"body": ["p"]}), file)
    assert read(file, dataset_column="body") == [Document("rows.parquet#0", "p")]


def test_a_saved_hugging_face_dataset_is_read(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"text": ["one", "two"]})
    rows.save_to_disk(tmp_path / "plain")
    datasets.DatasetDict(valid=rows).save_to_disk(tmp_path / "splits")
    assert read(tmp_path / "plain") == [Document("train#0", "one"), Document("train#1", "two")]
    assert [d.text for d in read(tmp_path / "splits", dataset_split="valid")] == ["one", "two"]
    with pytest.raises(DataError, match=r"no split .*'train'.*\['valid'\]"):
        read(tmp_path / "splits")


def test_a_folder_in_the_layout_of_the_hub_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: small\n  data_files:\n  - split: train\n"
        "    path: data/*.parquet\n---\n# A card\n"
    )
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "data" / "a.parquet")
    assert [d.text for d in read(tmp_path, dataset_name="small")] == ["one", "two"]
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path, dataset_name="large")


@pytest.mark.parametrize(
    ("head", "file", "streamed"),
    [
        ("license: mit", "data/rows.jsonl", True),
        ("license: mit", "train-00000-of-00001.jsonl", True),
        ("configs:\n- config_name: default\n  data_files: rows.jsonl", "rows.jsonl", True),
        ("license: mit", "rows.jsonl", False),
        ("title: notes on configs", "rows.jsonl", False),
    ],
)
def test_a_hub_layout_is_known_by_its_card_and_data(
    tmp_path: Path, head: str, file: str, streamed: bool
) -> None:
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n# A card\n")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(json.dumps({"text": "one"}) + "\n")
    assert [d.id for d in read(tmp_path)] == (
        ["train#0"] if streamed else ["README.md", f"{file}#0"]
    )


def test_markdown_whose_readme_has_a_head_is_a_folder_of_text(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\ntitle: Notes\n---\nHello\n\nconfigs: none\n")
    (tmp_path / "other.md").write_text("World")
    assert [d.id for d in read(tmp_path)] == ["README.md", "other.md"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"body": "x"}', r"no column corpus.dataset_column = 'text'.*\['body'\]"),
        ("a.jsonl", b"{", "line 1, is not JSON"),
        ("a.jsonl", b"[]", "expected a JSON object"),
        ("a.jsonl", b'{"text": 3}', "holds int; expected text"),
        ("a.parquet", b"PAR1 but not really", "cannot be read as Parquet"),
        ("a.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("a.txt", b"", "holds no text"),
        ("a.png", b"x", "holds no file that can be read"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_missing_column_of_parquet_names_those_found(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["p"], "title": ["t"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"'text'; expected one of \['body', 'title'\]"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "rows.jsonl", "embedded:docs"])
def test_a_path_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(name)


def test_a_dataset_that_the_hub_does_not_give_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"'nobody/nothing'.*cannot be read"):
        read("nobody/nothing")


def test_rows_of_a_hub_layout_lack_the_column(tmp_path: Path) -> None:
    hub_layout(tmp_path, ["x"])
    with pytest.raises(DataError, match=r"'body'; expected one of \['text'\]"):
        read(tmp_path, dataset_column="body")


def hub_layout(folder: Path, texts: list[str]) -> None:
    """A copy of a hub dataset whose one Parquet file is one row group."""
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "data").mkdir()
    rows = pa.table({"text": texts})
    pq.write_table(rows, folder / "data" / "train-00000-of-00001.parquet", row_group_size=10**9)


def text_files(folder: Path, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        (folder / f"{number:03d}.txt").write_text(text)


def saved(folder: Path, texts: list[str]) -> None:
    datasets.Dataset.from_dict({"text": texts}).save_to_disk(folder)


@pytest.mark.parametrize("write", [text_files, hub_layout, saved])
def test_every_source_is_shuffled_and_ids_name_the_place_in_the_corpus(
    tmp_path: Path, write: Callable[[Path, list[str]], None]
) -> None:
    write(tmp_path, [f"text {number}" for number in range(30)])
    plain, drawn = read(tmp_path), read(tmp_path, shuffle_buffer=8)
    assert drawn != plain
    assert sorted(drawn) == sorted(plain)
    assert drawn == read(tmp_path, shuffle_buffer=8)
    assert drawn != read(tmp_path, shuffle_buffer=8, seed=23)


@given(
    st.lists(st.sampled_from(["\n", "\r\n", "\r", "a", "bé", "日本", "word "])).map("".join),
    st.integers(1, 9),
)
def test_a_long_text_is_cut_and_nothing_is_lost(text: str, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "_LONGEST", longest)
        source = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        parts = list(corpus_module._cut(source, "a.txt"))
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    assert "".join(part.text for part in parts) == whole
    assert all(len(part.text) <= longest for part in parts)
    if len(whole) <= longest:
        assert parts == [Document("a.txt", whole)]
    else:
        assert [part.id for part in parts] == [f"a.txt#{n}" for n in range(len(parts))]
    for part in parts[:-1]:
        assert part.text.endswith("\n") or ("\n" not in part.text and len(part.text) == longest)


def test_long_files_and_rows_are_cut_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "_LONGEST", 8)
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "abcdefghij"}) + '\n{"text": "k"}\n')
    assert read(tmp_path) == [
        Document("a.txt#0", "one\ntwo\n"),
        Document("a.txt#1", "three\n"),
        Document("b.jsonl#0#0", "abcdefgh"),
        Document("b.jsonl#0#1", "ij"),
        Document("b.jsonl#1", "k"),
    ]


@pytest.mark.parametrize(
    ("ending", "message"),
    [(b"\xff more", "invalid start byte: 0xff"), (b"\xe6\x97", "unexpected end of data: 0xe6")],
)
def test_what_is_not_utf_8_is_found_while_streaming(
    tmp_path: Path, ending: bytes, message: str
) -> None:
    good = "naïve line\n".encode() * 100_000
    (tmp_path / "a.txt").write_bytes(good + ending)
    documents = read_documents(CorpusSettings(dataset_repo=str(tmp_path / "a.txt")), 22)
    assert next(documents).id == "a.txt#0"
    with pytest.raises(DataError, match=rf"a\.txt is not UTF-8 .*{message} at byte {len(good)}\)"):
        list(documents)


def characters_and_peak(source: Path) -> tuple[int, int]:
    """Characters of the corpus, and the most bytes that Python and Arrow held while reading it."""
    characters = arrow = 0
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        for document in read_documents(CorpusSettings(dataset_repo=str(source)), 22):
            characters += len(document.text)
            arrow = max(arrow, pa.total_allocated_bytes() - before)
        python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return characters, python + arrow


def random_texts(count: int) -> list[str]:
    draw = random.Random(22)
    return [draw.randbytes(1_000).hex() for _ in range(count)]


def big_text(folder: Path) -> None:
    with (folder / "a.txt").open("w") as text:
        text.writelines(f"{line}\n" * 2_000 for line in random_texts(15))


def big_jsonl(folder: Path) -> None:
    with (folder / "a.jsonl").open("w") as lines:
        lines.writelines(json.dumps({"text": text}) + "\n" for text in random_texts(15_000))


def big_row_group(folder: Path) -> None:
    pq.write_table(pa.table({"text": random_texts(15_000)}), folder / "a.parquet")
    assert pq.read_metadata(folder / "a.parquet").num_row_groups == 1


def big_hub_layout(folder: Path) -> None:
    hub_layout(folder, random_texts(15_000))


@pytest.mark.parametrize("write", [big_text, big_jsonl, big_row_group, big_hub_layout])
def test_a_file_larger_than_memory_is_streamed(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path)
    # What is imported at the first read stays.
    next(read_documents(CorpusSettings(dataset_repo=str(tmp_path)), 22))
    characters, peak = characters_and_peak(tmp_path)
    assert characters >= 30_000_000
    assert peak < 6_000_000

"""Every source of documents, and what is refused."""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from delphi_assets.corpus import Document, read_documents
from delphi_assets.errors import DataError
from delphi_assets.settings import CorpusSettings


def read(source: Path | str, **settings: str) -> list[Document]:
    return list(read_documents(CorpusSettings(dataset_repo=str(source), **settings)))


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
    assert prefix == [document.id for document in read("embedded:python-docs")[:200]]


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

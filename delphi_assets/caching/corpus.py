"""The text a model reads: documents with an id each, streamed from where the profile says.

In: `CorpusSettings` and a seed. Out: `Document`s in an order that is the same every time: the
corpus's own, or shuffled through a buffer of `shuffle_buffer` documents (see `shuffle`). An id
names the document's place in the corpus, shuffled or not. Sources:

- `embedded:python-docs`: the language reference's topics and the docstrings of the installed
  standard library, read without importing it, in an order shuffled by a seeded hash so that a
  prefix of the corpus is a mixture;
- a local file or folder of .txt / .md (a document a file), .jsonl or .parquet (a document a row);
- a local folder in the layout of Hugging Face datasets, or the name of a dataset on the hub.

A text of more than 262,144 characters, from whatever source, is cut into documents `<id>#0`,
`<id>#1`, ...: behind the last end of line that fits, or, in a line that is longer than that,
between two characters. Together they are the text. Half characters, which JSON can hold and
nothing else, are replaced. So memory is bounded further on.

No source is read whole but the embedded one. At a time there are in memory: of a text file a
document, of jsonl a line, of Parquet a few rows and the pages they lie in. What `datasets` reads
(the hub, and local folders in its layouts whose data are not Parquet) takes a row group of Parquet
or 10 MB of jsonl.
"""

import ast
import hashlib
import inspect
import io
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from delphi_assets.caching.shuffle import shuffled
from delphi_assets.errors import DataError, DelphiAssetsError
from delphi_assets.ground.foreign_json import parse_json
from delphi_assets.ground.foreign_text import clean_text
from delphi_assets.ground.local_paths import is_file, is_folder, local_path
from delphi_assets.settings import CorpusSettings

PYTHON_DOCS = "embedded:python-docs"

_ORDER_SEED = 22
_NOT_DOCUMENTATION = {"test", "tests", "idlelib", "idle_test"}
_SUFFIXES = (".txt", ".md", ".jsonl", ".parquet")
_DATA_SUFFIXES = {".parquet", ".jsonl", ".json", ".csv", ".arrow", ".gz", ".zst"}
_HEAD = re.compile(rb"---\r?\n.*?^---", re.DOTALL | re.MULTILINE)
_TELLS_OF_DATA = re.compile(rb"^(configs|dataset_info):", re.MULTILINE)
_LONGEST = 1 << 18  # characters of a document
_ROWS_AT_ONCE = 64
_READ_AT_ONCE = 1 << 20  # bytes of a Parquet column
_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Document(NamedTuple):
    """One text of the corpus, or a part of one that is very long, and its name in it."""

    id: str
    text: str


def read_documents(corpus: CorpusSettings, seed: int) -> Iterator[Document]:
    """The corpus's documents, one at a time; documents without text are left out.

    With `shuffle_buffer` the order is drawn by `seed`. Raises `DataError` when the source cannot
    be read, lacks the column, or holds no text at all.
    """
    documents = _documents(corpus)
    return shuffled(documents, corpus.shuffle_buffer, seed) if corpus.shuffle_buffer else documents


def on_hub(corpus: CorpusSettings) -> bool:
    """Whether the corpus is the name of a dataset on the hub: nothing is there, nor could be."""
    path = local_path(corpus.dataset_repo)
    if is_file(path) or is_folder(path) or path.suffix in _SUFFIXES:
        return False
    return not corpus.dataset_repo.startswith(("embedded:", ".", "/", "~"))


def _documents(corpus: CorpusSettings) -> Iterator[Document]:
    empty = True
    for document in _source(corpus):
        if document.text:
            empty = False
            yield from _cut(io.StringIO(document.text), document.id)
    if empty:
        raise DataError(
            f"corpus.dataset_repo = {corpus.dataset_repo!r} holds no text; expected at least one "
            "document that is not empty."
        )


def _source(corpus: CorpusSettings) -> Iterator[Document]:
    if corpus.dataset_repo == PYTHON_DOCS:
        return _python_docs()
    path = local_path(corpus.dataset_repo)
    if is_file(path):
        return _read_file(path, path.name, corpus.dataset_column)
    if is_folder(path):
        if _is_saved_dataset(path) or _is_hub_layout(path, corpus.dataset_split):
            return _hugging_face(corpus)
        return _read_folder(path, corpus.dataset_column)
    if not on_hub(corpus):
        raise DataError(
            f"corpus.dataset_repo = {corpus.dataset_repo!r} does not exist; expected a file or "
            f"folder, a dataset of the Hugging Face hub, or {PYTHON_DOCS!r}."
        )
    return _hugging_face(corpus)


def _cut(text: TextIO, name: str) -> Iterator[Document]:
    """The text as one document, or as several of at most `_LONGEST` characters."""
    held = text.read(_LONGEST + 1)
    if len(held) <= _LONGEST:
        yield Document(name, held)
        return
    for number in count():
        end = len(held)
        if end > _LONGEST:
            end = held.rfind("\n", 0, _LONGEST) + 1 or _LONGEST
        yield Document(f"{name}#{number}", held[:end])
        held = held[end:] + text.read(end)
        if not held:
            return


def _python_docs() -> Iterator[Document]:
    """Topics and docstrings, identical texts once, ordered by a seeded hash of the id."""
    from pydoc_data.topics import topics

    texts: dict[str, Document] = {}
    for name in sorted(topics):
        _keep(texts, f"topics/{name}", topics[name])
    library = Path(sysconfig.get_paths()["stdlib"])
    for module, file in _library_files(library):
        for name, text in _docstrings(module, file):
            _keep(texts, name, text)
    yield from sorted(texts.values(), key=lambda document: _draw(document.id))


def _keep(texts: dict[str, Document], name: str, text: str) -> None:
    text = text.strip()
    if text:
        texts.setdefault(text, Document(name, text))


def _draw(name: str) -> bytes:
    return hashlib.blake2b(f"{_ORDER_SEED}/{name}".encode(), digest_size=16).digest()


def _library_files(library: Path) -> Iterator[tuple[str, Path]]:
    """(module, source file) of the standard library's modules written in Python."""
    for root in sorted(sys.stdlib_module_names - _NOT_DOCUMENTATION):
        if (file := library / f"{root}.py").is_file():
            yield root, file
        for file in sorted((library / root).rglob("*.py")):
            parts = file.relative_to(library).with_suffix("").parts
            if not _NOT_DOCUMENTATION & set(parts):
                yield ".".join(parts).removesuffix(".__init__"), file


def _docstrings(module: str, file: Path) -> Iterator[tuple[str, str]]:
    """(dotted name, docstring) of a module and of the classes and functions in it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        # The library carries a few files that are meant not to compile.
        return
    seen: dict[str, int] = {}
    nodes: list[tuple[str, ast.AST]] = [(module, tree)]
    while nodes:
        name, node = nodes.pop()
        if isinstance(node, ast.Module | _Definition) and (
            text := ast.get_docstring(node, clean=False)
        ):
            seen[name] = seen.get(name, 0) + 1
            again = f"#{seen[name]}" if seen[name] > 1 else ""
            yield name + again, inspect.cleandoc(text)
        nodes.extend(
            (f"{name}.{child.name}" if isinstance(child, _Definition) else name, child)
            for child in reversed(list(ast.iter_child_nodes(node)))
            if isinstance(child, ast.stmt | ast.excepthandler)
        )


def _read_folder(folder: Path, column: str) -> Iterator[Document]:
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix in _SUFFIXES
    )
    if not files:
        raise DataError(
            f"corpus.dataset_repo = {str(folder)!r} holds no file that can be read; expected "
            f"{', '.join(_SUFFIXES)} or a saved Hugging Face dataset."
        )
    for file in files:
        yield from _read_file(file, file.relative_to(folder).as_posix(), column)


def _read_file(file: Path, name: str, column: str) -> Iterator[Document]:
    if file.suffix == ".parquet":
        return _read_parquet(file, name, column)
    if file.suffix == ".jsonl":
        return _read_jsonl(file, name, column)
    return _read_text(file, name)


def _read_text(file: Path, name: str) -> Iterator[Document]:
    with file.open("rb") as source, io.TextIOWrapper(source, encoding="utf-8") as text:
        try:
            yield from _cut(text, name)
        except UnicodeDecodeError as error:
            # The error counts from the start of the block it was found in, the last one read.
            at = source.tell() - len(error.object) + error.start
            raise DataError(
                f"{file} is not UTF-8 text ({error.reason}: {error.object[error.start]:#04x} at "
                f"byte {at}); convert or remove it."
            ) from error


def _read_jsonl(file: Path, name: str, column: str) -> Iterator[Document]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                raise DataError(f"{file}, line {number + 1}, is not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise DataError(
                    f"{file}, line {number + 1}, is {type(row).__name__}; expected a JSON object."
                )
            yield _document(row, f"{name}#{number}", column)


def _read_parquet(file: Path, name: str, column: str) -> Iterator[Document]:
    for number, row in enumerate(_parquet_rows(file, column)):
        yield _document(row, f"{name}#{number}", column)


def _parquet_rows(file: Path, column: str) -> Iterator[dict[str, Any]]:
    """Every row with its `column` alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without a buffer, and with pre_buffer, the compressed row group is read as one.
        with pq.ParquetFile(file, buffer_size=_READ_AT_ONCE, pre_buffer=False) as parquet:
            _require(column, parquet.schema_arrow.names, str(file))
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=[column]):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{file} cannot be read as Parquet: {error}.") from error


def _document(row: Mapping[str, Any], name: str, column: str) -> Document:
    """A row's text as a document; null is a document without text."""
    _require(column, row, name)
    text = row[column]
    if text is not None and not isinstance(text, str):
        raise DataError(
            f"corpus.dataset_column = {column!r} of {name} holds {type(text).__name__}; "
            "expected text."
        )
    return Document(name, clean_text(text or ""))


def _require(column: str, columns: Iterable[str], where: str) -> None:
    names = list(columns)
    if column not in names:
        raise DataError(
            f"{where} has no column corpus.dataset_column = {column!r}; expected one of {names}."
        )


def _is_saved_dataset(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _is_hub_layout(folder: Path, split: str) -> bool:
    """Whether the folder is a copy of a hub dataset.

    It has a dataset card with a YAML head, and either that tells of the data, or there are data
    files under `data/` or named after the split. Notes in Markdown may begin with a head, too.
    """
    card = folder / "README.md"
    if not card.is_file() or not (head := _HEAD.match(card.read_bytes())):
        return False
    return bool(_TELLS_OF_DATA.search(head[0])) or any(
        path.suffix in _DATA_SUFFIXES and path.is_file()
        for pattern in ("data/**/*", f"{split}*", f"{split}/**/*")
        for path in folder.glob(pattern)
    )


def _hugging_face(corpus: CorpusSettings) -> Iterator[Document]:
    """Rows of a dataset of the hub, streamed, or of a local folder in one of its layouts."""
    import datasets

    where = f"corpus.dataset_repo = {corpus.dataset_repo!r}"
    try:
        for number, row in enumerate(_rows(datasets, corpus)):
            yield _document(row, f"{corpus.dataset_split}#{number}", corpus.dataset_column)
    except DelphiAssetsError:
        raise
    except Exception as error:
        # Files that are damaged make `datasets` raise whatever it stumbles over.
        raise DataError(
            f"{where} (dataset_name = {corpus.dataset_name!r}, dataset_split = "
            f"{corpus.dataset_split!r}) cannot be read: {type(error).__name__}: {error}; expected "
            "a local file or folder, or a dataset of the Hugging Face hub that can be reached."
        ) from error


def _rows(datasets: Any, corpus: CorpusSettings) -> Iterable[Mapping[str, Any]]:
    folder = local_path(corpus.dataset_repo)
    if _is_saved_dataset(folder):
        return _saved_rows(datasets, corpus, folder)
    local = is_folder(folder)
    builder = datasets.load_dataset_builder(
        str(folder) if local else corpus.dataset_repo, corpus.dataset_name
    )
    files = (builder.config.data_files or {}).get(corpus.dataset_split, ())
    if local and files and all(file.endswith(".parquet") for file in files):
        # `datasets` holds several times a row group, which may be a whole file.
        return chain.from_iterable(
            _parquet_rows(Path(file), corpus.dataset_column) for file in files
        )
    stream: Iterable[Mapping[str, Any]] = builder.as_streaming_dataset(split=corpus.dataset_split)
    return stream


def _saved_rows(datasets: Any, corpus: CorpusSettings, folder: Path) -> Iterable[Mapping[str, Any]]:
    """Rows of a dataset in memory-mapped files, as `save_to_disk` leaves it."""
    saved = datasets.load_from_disk(str(folder))
    if not isinstance(saved, datasets.DatasetDict):
        return saved  # type: ignore[no-any-return]
    if corpus.dataset_split not in saved:
        raise DataError(
            f"{folder} has no split corpus.dataset_split = {corpus.dataset_split!r}; expected one "
            f"of {sorted(saved)}."
        )
    return saved[corpus.dataset_split]  # type: ignore[no-any-return]

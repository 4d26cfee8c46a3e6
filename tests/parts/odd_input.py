"""Input that is damaged or odd, in every way that a seed gives, and what the library says of it.

In: a kind of input, how many mutants, a seed. Out: a `FuzzRun` that counts what was read, what was
refused, and lists every mutant that ended in another library's error or took too long.

1. `TEMPLATES` of a kind are folders that can be read.
2. A mutant is a copy of one with a file changed: bytes flipped, cut or put in; in JSON and TOML
   values replaced by odd ones; tensors of other numbers, shapes and names; pickles that would make
   a file if they were loaded (`Trap`).
3. The kind's reader reads it, as the library does. What it may raise is a `DelphiAssetsError`.
"""

import json
import math
import random
import shutil
import signal
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

from delphi_assets.caching.corpus import read_documents
from delphi_assets.coders import describe_coder, load_coder
from delphi_assets.delphi_runs.layout import read_layout
from delphi_assets.delphi_runs.profiles import imported_profile
from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.delphi_runs.source import check_source
from delphi_assets.errors import DelphiAssetsError
from delphi_assets.explainers import answers as explainer_answers
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_wanted
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.models.subject import check_hookpoints, load_subject, vocabulary_size
from delphi_assets.prompts import Prompts, known
from delphi_assets.scorers.answers import picks, token_activations
from delphi_assets.scorers.answers import yes_no as scorer_answers
from delphi_assets.settings import CorpusSettings, ModelSettings, load_profile, parse_profile
from tests.coders import test_dictionary_learning, test_gemma_scope, test_saelens
from tests.parts import delphi_folders
from tests.parts.dense_coders import Trap
from tests.parts.tiny_parts import make_coder, make_model

SECONDS = 60
"""Of work after which a mutant hangs; the machine may be busy with something else."""
WAITED = 600
"""Seconds after which one hangs that does not work at all."""
TRAP = "trapped"
"""File, beside the mutants, that a pickle makes when it is loaded."""

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 5e-324, 1e308,
    math.inf, -math.inf, math.nan, "", " ", "a", "0", "1e999", "nan", "\0", "\ud83d", "../..",
    "x" * 5_000, "=1+1", "embedded:none", "http://user:password@host", "日本", [], [None], [[]],
    [1, "a", None], {}, {"": None}, {"a": {"b": []}}, [0] * 50, "next 5", "0-99999999999",
)  # fmt: skip
ODD_BYTES = (
    b"", b"\0", b"\xff\xfe", b"{}", b"[]", b"null", b"NaN", b"[" * 100_000, b'{"a":' * 100_000,
    b'"\\ud83d"', b"9" * 10_000, b"-Infinity", b"\x80\x04K\x01.", b"PK\x03\x04", b"PAR1PAR1",
)  # fmt: skip
DTYPES = (
    torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int64, torch.bool,
    torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16,
)  # fmt: skip


class Odd(NamedTuple):
    """A mutant that ended as none should."""

    mutant: int
    change: str
    error: str


@dataclass
class FuzzRun:
    """What came of the mutants of a kind."""

    kind: str
    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    odd: list[Odd] = field(default_factory=list)
    trapped: bool = False

    @property
    def mutants(self) -> int:
        """How many there were."""
        return self.read + self.refused.total() + len(self.odd)


class Kind(NamedTuple):
    """A kind of input: how to make folders of it, and who reads them."""

    make: Callable[[Path], None]
    """Makes templates, a folder each."""
    read: Callable[[Path, random.Random], None]


class _Hangs(BaseException):
    """Raised where a mutant takes too long; no handler of errors takes it for one."""


def fuzz(kind: str, count: int, seed: int, folder: Path) -> FuzzRun:
    """Read `count` mutants of a kind; `folder` is empty, and is left so but for templates."""
    rng, run = random.Random(f"{kind}/{seed}"), FuzzRun(kind)
    made = folder / "templates"
    KINDS[kind].make(made)
    templates = sorted(path for path in made.iterdir() if path.is_dir())
    for template in templates:
        _must_be_read(kind, template, folder / "whole")
    trap = folder / TRAP
    for number in range(count):
        mutant = folder / "mutant"
        shutil.copytree(templates[number % len(templates)], mutant)
        change = _mutate(mutant, rng, trap)
        try:
            with _limited():
                KINDS[kind].read(mutant, rng)
            run.read += 1
        except DelphiAssetsError as error:
            run.refused[type(error).__name__] += 1
        except (Exception, _Hangs) as error:  # noqa: BLE001 - what this is here to find
            last = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in last if "delphi_assets" in frame.filename][-1:]
            place = f"{ours[0].filename.rpartition('/')[2]}:{ours[0].lineno}" if ours else "?"
            told = f"{type(error).__name__} at {place}: {str(error)[:200]}"
            run.odd.append(Odd(number, change, told))
        shutil.rmtree(mutant)
        shutil.rmtree(folder / "read", ignore_errors=True)
    run.trapped = trap.exists()
    return run


def _must_be_read(kind: str, template: Path, copy: Path) -> None:
    """Templates are good: a reader that refuses everything would find nothing."""
    shutil.copytree(template, copy)
    KINDS[kind].read(copy, random.Random(0))
    shutil.rmtree(copy)
    shutil.rmtree(copy.parent / "read", ignore_errors=True)


@contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _Hangs

    before = [(sign, signal.signal(sign, stop)) for sign in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(WAITED)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for sign, handler in before:
            signal.signal(sign, handler)


def _mutate(folder: Path, rng: random.Random, trap: Path) -> str:
    """Change one file of a folder; returns what was done."""
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    by_suffix: dict[str, Callable[[Path, random.Random, Path], str]] = {
        ".json": _odd_json,
        ".jsonl": _odd_lines,
        ".raw": _odd_json,
        ".toml": _odd_toml,
        ".safetensors": _odd_safetensors,
        ".pt": _odd_pickle,
        ".npz": _odd_npz,
        ".parquet": _odd_parquet,
    }
    is_json = path.suffix == ".txt" and path.read_bytes()[:1] in (b'"', b"[", b"{")
    change = _odd_json if is_json else by_suffix.get(path.suffix, _odd_bytes)
    if rng.random() < 0.3 and path.suffix != ".raw":
        change = _odd_bytes
    return f"{path.relative_to(folder)}: {change(path, rng, trap)}"


def _odd_bytes(path: Path, rng: random.Random, _: Path) -> str:
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content) + 1)
    what = rng.choice(("flipped", "cut", "noise", "doubled", "replaced", "put in", "removed"))
    if what == "flipped" and content:
        for _time in range(rng.choice((1, 1, 8))):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif what == "cut":
        del content[place:]
    elif what == "noise":
        content[place : place + 16] = rng.randbytes(16)
    elif what == "doubled":
        content[place:place] = content[place // 2 : place]
    elif what == "replaced":
        content = bytearray(rng.choice(ODD_BYTES))
    elif what == "put in":
        content[place:place] = rng.choice(ODD_BYTES)
    else:
        path.unlink()
        return what
    path.write_bytes(content)
    return what


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    return found + [
        place
        for key in keys
        if isinstance(value[key], dict | list)
        for place in _places(value[key])
    ]


def _change(value: Any, rng: random.Random) -> tuple[Any, str]:
    """`value` with one or two values replaced, taken out or renamed."""
    done = []
    for _ in range(rng.choice((1, 1, 2))):
        places = _places(value) if isinstance(value, dict | list) else []
        if not places or rng.random() < 0.03:
            value = deepcopy(rng.choice(ODD_VALUES))
            done.append(f"all = {str(value)[:40]!a}")
            continue
        held, key = rng.choice(places)
        if isinstance(held, dict) and rng.random() < 0.15:
            held[rng.choice(("", "a", "key", str(key).upper()))] = held.pop(key)
            done.append(f"{key} renamed")
        elif rng.random() < 0.1:
            del held[key]
            done.append(f"{key} removed")
        else:
            held[key] = deepcopy(rng.choice(ODD_VALUES))
            done.append(f"{key} = {str(held[key])[:40]!a}")
    return value, "; ".join(done)


def _odd_json(path: Path, rng: random.Random, _: Path) -> str:
    value, done = _change(json.loads(path.read_bytes()), rng)
    path.write_text(json.dumps(value))
    return done


def _odd_lines(path: Path, rng: random.Random, _: Path) -> str:
    lines = path.read_text().splitlines()
    place = rng.randrange(len(lines))
    value, done = _change(json.loads(lines[place]), rng)
    lines[place] = json.dumps(value)
    path.write_text("\n".join(lines))
    return done


def _odd_toml(path: Path, rng: random.Random, _: Path) -> str:
    value, done = _change(tomllib.loads(path.read_text()), rng)
    held = value if isinstance(value, dict) else {"a": value}
    lines = [f"{json.dumps(name)} = {_toml(one)}" for name, one in held.items()]
    path.write_text("\n".join(lines), errors="replace")
    return done


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inside = (f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps("" if value is None else value, ensure_ascii=False)


def _odd_tensor(tensor: torch.Tensor, rng: random.Random) -> tuple[torch.Tensor, str]:
    what = rng.choice(("dtype", "shape", "nan", "inf", "huge", "empty", "flat", "scalar", "long"))
    if what == "dtype":
        dtype = rng.choice(DTYPES)
        return tensor.to(dtype), str(dtype)
    if what in ("nan", "inf", "huge") and tensor.is_floating_point():
        value = {"nan": math.nan, "inf": -math.inf, "huge": torch.finfo(tensor.dtype).max}[what]
        odd = tensor.clone().reshape(-1)
        odd[rng.randrange(len(odd))] = value
        return odd.reshape(tensor.shape), what
    shaped = {
        "shape": tensor.T.contiguous() if tensor.ndim == 2 else tensor.reshape(-1)[:-1],
        "empty": tensor.reshape(-1)[:0],
        "flat": tensor.reshape(-1),
        "scalar": torch.tensor(1.0),
        **dict.fromkeys(("nan", "inf", "huge"), tensor.long() + 70_000),
        "long": torch.cat([tensor.reshape(-1)] * 2),
    }
    return shaped[what].clone(), what


def _odd_tensors(
    tensors: dict[str, torch.Tensor], rng: random.Random
) -> tuple[dict[str, torch.Tensor], str]:
    name = rng.choice(sorted(tensors))
    if rng.random() < 0.1:
        tensors[rng.choice(("a", name.upper()))] = tensors.pop(name)
        return tensors, f"{name} renamed"
    tensors[name], done = _odd_tensor(tensors[name], rng)
    return tensors, f"{name} {done}"


def _odd_safetensors(path: Path, rng: random.Random, _: Path) -> str:
    tensors, done = _odd_tensors(load_file(path), rng)
    save_file(tensors, path)
    return done


def _odd_pickle(path: Path, rng: random.Random, trap: Path) -> str:
    tensors: dict[Any, Any] = torch.load(path, weights_only=True)
    what = rng.choice(("tensors", "tensors", "trap", "list", "object", "number", "sparse", "meta"))
    name = rng.choice(sorted(tensors))
    if what == "tensors":
        tensors, done = _odd_tensors(tensors, rng)
        torch.save(tensors, path)
        return done
    held: dict[str, Any] = {
        "trap": {**tensors, name: Trap(trap)},
        "list": list(tensors.values()),
        "object": {**tensors, name: [1, "a"]},
        "number": {**tensors, 7: tensors[name]},
        "sparse": {**tensors, name: tensors[name].to_sparse()},
        "meta": {**tensors, name: tensors[name].to("meta")},
    }
    torch.save(held[what], path, _use_new_zipfile_serialization=rng.random() < 0.7)
    return what


def _odd_npz(path: Path, rng: random.Random, trap: Path) -> str:
    with np.load(path) as held:
        arrays: dict[str, Any] = {name: held[name] for name in held.files}
    name = rng.choice(sorted(arrays))
    what = rng.choice(("tensor", "trap", "text", "dates", "structure", "big-endian", "half"))
    if what == "tensor":
        tensors, done = _odd_tensors({k: torch.from_numpy(v) for k, v in arrays.items()}, rng)
        # NumPy lacks these kinds of numbers.
        lacking = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
        known = {k: v.float() if v.dtype in lacking else v for k, v in tensors.items()}
        made: dict[str, Any] = {k: v.numpy() for k, v in known.items()}
        np.savez(path, **made)
        return done
    arrays[name] = {
        "trap": np.array([Trap(trap)], dtype=object),
        "text": arrays[name].astype(str),
        "dates": arrays[name].astype("datetime64[s]"),
        "structure": np.zeros(3, dtype=[("a", "f4"), ("b", "i8")]),
        "big-endian": arrays[name].astype(">f4"),
        "half": arrays[name].astype(np.float16),
    }[what]
    np.savez(path, **arrays)
    return what


def _odd_parquet(path: Path, rng: random.Random, _: Path) -> str:
    rows = pq.read_table(path)
    what = rng.choice(("numbers", "bytes", "lists", "dates", "nulls", "no column", "no rows"))
    columns: dict[str, Any] = {
        "numbers": pa.array([1, 2, 3]),
        "bytes": pa.array([b"\xff", b"a", None]),
        "lists": pa.array([["a"], [], None]),
        "dates": pa.array([2**40, 0, None], pa.timestamp("s")),
        "nulls": pa.nulls(3),
    }
    if what in columns:
        rows = pa.table({"text": columns[what]})
    rows = rows.drop_columns("text") if what == "no column" else rows
    pq.write_table(rows[:0] if what == "no rows" else rows, path)
    return what


def _make_profiles(folder: Path) -> None:
    shipped = Path(__file__).parents[2] / "profiles"
    for path in shipped.glob("*.toml"):
        (folder / path.stem).mkdir(parents=True)
        whole = load_profile(str(path)).model_dump(exclude_none=True)
        (folder / path.stem / "profile.raw").write_text(json.dumps(whole))
        shutil.copy(path, folder / path.stem / "profile.toml")


def _read_profile(folder: Path, _: random.Random) -> None:
    profile = load_profile(str(folder / "profile.toml"))
    raw = folder / "profile.raw"
    if raw.exists():
        profile = parse_profile(json.loads(raw.read_text()))
    parse_wanted(profile.explain.latents)
    profile.run_config()
    for hookpoint in profile.cache.hookpoints:
        profile.hookpoint_config(hookpoint)
    assert profile.n_shards > 0


_ARCHITECTURES = (
    "standard",
    "topk",
    "jumprelu",
    "gated",
    "transcoder",
    "jumprelu_skip_transcoder",
)


def _make_coders(folder: Path) -> None:
    for number, changes in enumerate(({}, {"transcode": True, "skip_connection": True})):
        make_coder(folder / f"sparsify-{number}", ".", **changes)
    make_coder(folder / "sparsify-groups", ".", activation="groupmax", num_latents=32, k=4)
    for architecture in _ARCHITECTURES:
        (folder / f"saelens-{architecture}").mkdir()
        test_saelens.make(folder / f"saelens-{architecture}", architecture)
    for number in range(3):
        test_gemma_scope.make_first(folder / f"scope-first-{number}")
        test_gemma_scope.make_second(folder / f"scope-second-{number}", skip=number == 0)
    for kind in test_dictionary_learning.KINDS:
        (folder / f"dictionary-{kind}").mkdir()
        test_dictionary_learning.make(folder / f"dictionary-{kind}", kind)


def _read_coder(folder: Path, _: random.Random) -> None:
    described = describe_coder(folder, "layers.3")
    coder = load_coder(folder, "layers.3")
    assert coder.shape == described.shape
    coder.encode(torch.ones(3, coder.shape.d_in))


def _make_delphi_runs(folder: Path) -> None:
    for name, hookpoints in (("one", ("layers.1",)), ("two", ("layers.1", "layers.2"))):
        fired = {hookpoint: delphi_folders.fired() for hookpoint in hookpoints}
        delphi_folders.make_run(folder / name, fired)


def _read_delphi_run(folder: Path, rng: random.Random) -> None:
    """Checked, and one in ten written, which takes most of the time."""
    lake = Lake(folder.parent / "read")
    if rng.random() < 0.1:
        import_run(folder, lake, "imported")
        return
    source = check_source(read_layout(folder))
    imported_profile(source.delphi, source.tokens.size, lake, "imported")


_ANSWERS = (
    "[EXPLANATION]: words about lakes",
    '```json\n{"reasoning": "a", "explanation": "words"}\n```',
    "<think>[1, 0]</think>\nReasoning.\n\n[EXPLANATION]: *lakes*",
    "[1, 0, 1, 0, 1]",
    '{"answers": [1, 0, 1, 0, 1]}',
    "1. yes\n2. no\n3. yes\n4. no\n5. yes",
    "Answer: 3",
    '{"answer": 2}',
    '[["a", 3], ["b", 0]]',
    '{"activations": [{"token": "a", "activation": 3}]}',
    "('a', 3), ('b', 0)",
    "a\t3\nb\t0",
)
_PIECES = (
    "[", "]", "{", "}", '"', "'", ",", ":", "0", "1", "10", "9" * 5_000, "\n", " " * 3_000, "```",
    "<think>", "</think>", "[EXPLANATION]:", '{"explanation":', '{"answers":', '{"answer":', "\0",
    "Answer:", "answer is", "Final:", "\ud83d", "１", "٣", "²", "-", "1.", "yes", "no", "true",
    "[1," * 500, "{" * 3_000, "[" * 3_000, '{"a":' * 3_000, "* " * 2_000, "\\", "\\u0000", "NaN",
    "1e999", "* _ #" * 800, "and " * 1_000,
    "\\x", "\t", "Confidence:", '("', "no, wait", "if ", "\n" * 3_000, "\n1" * 1_000,
)  # fmt: skip


def completion(
    text: str | None, finish_reason: str | None = "stop", logprobs: str | None = None
) -> Completion:
    """An answer of an LLM."""
    return Completion(
        request="r", role="scorer", model="m", messages="[]", answer=text, logprobs=logprobs,
        finish_reason=finish_reason, prompt_tokens=1, cached_tokens=0, completion_tokens=1,
        cost=None, latency=0.1, attempts=1, error=None,
    )  # fmt: skip


def _make_answers(folder: Path) -> None:
    for number, answer in enumerate(_ANSWERS):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "answer.reply").write_text(answer)


def _read_answer(folder: Path, rng: random.Random) -> None:
    path = folder / "answer.reply"
    text = path.read_bytes().decode(errors="surrogateescape") if path.exists() else None
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(text or "") + 1)
        text = (text or "")[:place] + rng.choice(_PIECES) + (text or "")[place:]
    tokens = [{"token": part, "top": [[part, -0.1]]} for part in (text or "").split(" ")]
    tokens += [{"token": "", "top": [["9" * 5_000, -3.0]]}]
    logprobs = json.dumps(tokens) if rng.random() < 0.3 else None
    answer = completion(text, rng.choice(("stop", "length", None, "odd")), logprobs)
    explainer_answers.parse(answer)
    scorer_answers.parse(answer, 5)
    picks.parse(answer, 5)
    token_activations.parse(answer, ["a", "b"])


def _make_corpora(folder: Path) -> None:
    texts = ["one text", "another", "日本 🙂"]
    for name in ("jsonl", "parquet", "text"):
        (folder / name).mkdir(parents=True)
    lines = [json.dumps({"text": text, "n": number}) for number, text in enumerate(texts)]
    (folder / "jsonl/rows.jsonl").write_text("\n".join(lines))
    pq.write_table(pa.table({"text": texts, "n": [1, 2, 3]}), folder / "parquet/rows.parquet")
    for number, text in enumerate(texts):
        (folder / f"text/{number}.txt").write_text(text * 50)


def _read_corpus(folder: Path, rng: random.Random) -> None:
    settings = CorpusSettings(dataset_repo=str(folder), shuffle_buffer=rng.choice((0, 2)))
    for document in read_documents(settings, 1):
        document.text.encode()


def _make_models(folder: Path) -> None:
    for family in ("gpt_neox", "llama", "gemma3"):
        make_model(folder / family, family)


def _read_model(folder: Path, _: random.Random) -> None:
    profile = parse_profile(
        {
            "run": {"name": "r"},
            "model": {"name": str(folder), "dtype": "float32", "device": "cpu"},
            "corpus": {"dataset_repo": "d"},
            "cache": {"hookpoints": ["layers.1"], "n_tokens": 64, "cache_ctx_len": 32,
                      "shard_tokens": 64},
            "coder": {"sparse_model": "c"},
        }
    )  # fmt: skip
    check_hookpoints(profile)
    subject = load_subject(ModelSettings(name=str(folder), dtype="float32", device="cpu"))
    assert vocabulary_size(subject.model.config) > 0


def _make_prompts(folder: Path) -> None:
    for name in known():
        (folder / name).mkdir(parents=True)
        shipped = Path(__file__).parents[2] / "delphi_assets/prompts" / name
        shutil.copy(shipped, folder / name)


def _read_prompts(folder: Path, _: random.Random) -> None:
    prompts = Prompts(str(folder))
    for path in folder.iterdir():
        if path.suffix == ".txt":
            prompts.text(path.stem)
        elif path.stem.startswith("explainer"):
            prompts.explainer_cases(path.stem)
        else:
            prompts.scorer_cases(path.stem)


KINDS = {
    "profiles": Kind(_make_profiles, _read_profile),
    "coders": Kind(_make_coders, _read_coder),
    "delphi_runs": Kind(_make_delphi_runs, _read_delphi_run),
    "answers": Kind(_make_answers, _read_answer),
    "corpora": Kind(_make_corpora, _read_corpus),
    "models": Kind(_make_models, _read_model),
    "prompts": Kind(_make_prompts, _read_prompts),
}
"""What can be odd, by name."""

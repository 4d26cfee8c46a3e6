"""What Tab completes, in a real bash."""

import subprocess
from pathlib import Path

import pytest

from delphi_assets.command_line import COMMANDS, main
from delphi_assets.commands.completion import SHELLS

pytestmark = pytest.mark.slow

ASKED = """
source ./script
complete -p delphi-assets >/dev/null || exit 1
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
$(complete -p delphi-assets | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script, and a lake beside a profile."""
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patch, (folder / "script").open("w") as out:
        patch.setattr("sys.stdout", out)
        with pytest.raises(SystemExit) as ended:
            main(["--print-completion", "bash"])
    assert ended.value.code == 0
    (folder / "my-lake").mkdir()
    (folder / "my-run.toml").touch()
    return folder


def completed(folder: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    asked = ["bash", "--norc", "-c", ASKED, "bash", "delphi-assets", *words]
    ended = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return set(ended.stdout.split())


def test_commands(folder: Path) -> None:
    assert completed(folder, "") >= set(COMMANDS)
    assert completed(folder, "export-") == {name for name in COMMANDS if name[:7] == "export-"}


def test_options_and_their_values(folder: Path) -> None:
    assert completed(folder, "sql", "--f") == {"--file", "--format"}
    assert completed(folder, "sql", "--format", "") == {"table", "csv", "json"}
    assert completed(folder, "run", "--until", "ex") == {"examples", "explanations"}


def test_files_and_folders(folder: Path) -> None:
    assert completed(folder, "report", "my") == {"my-lake"}
    assert completed(folder, "check", "my-r") == {"my-run.toml"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)

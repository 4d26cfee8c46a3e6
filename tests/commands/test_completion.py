"""What Tab completes, in real shells: bash, and zsh and tcsh where they are installed."""

import os
import pty
import select
import shutil
import signal
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


SHOWN: dict[str, tuple[list[str], str]] = {
    "zsh": (["zsh", "-f"], "fpath=($PWD $fpath); autoload -U compinit; compinit -u -d dump\n"),
    "tcsh": (["tcsh", "-f"], "source _delphi-assets; set autolist\n"),
}
"""How a shell starts that reads nothing of its user's, and takes the script `_delphi-assets`."""


@pytest.mark.parametrize("shell", SHOWN)
def test_tab_completes_in_other_shells(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, start = SHOWN[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    with pytest.raises(SystemExit):
        main(["--print-completion", shell])
    (tmp_path / "_delphi-assets").write_text(capsys.readouterr().out, encoding="utf-8")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    try:
        os.write(terminal, f"{start}delphi-assets run --until pred\t".encode())
        seen = ""
        while "predictions" not in seen:
            ready, _, _ = select.select([terminal], [], [], 60)
            assert ready, seen
            seen += os.read(terminal, 65_536).decode()
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)

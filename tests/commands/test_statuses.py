"""How `delphi-assets` ends: its version and its exit statuses, each met once in a real process."""

import fcntl
import signal
import subprocess
import sys
import termios
import time
from importlib import metadata
from pathlib import Path

import pytest

from delphi_assets.command_line import STATUSES, main
from delphi_assets.lake.lake import Lake

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from delphi_assets.command_line import main; exit(main())"]


def lake_at(root: Path) -> str:
    """A lake without rows."""
    Lake(root).initialize()
    return str(root)


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"delphi-assets {metadata.version('delphi-assets')}\n"


def test_without_installation_the_version_is_said_to_be_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert "not installed" in capsys.readouterr().out


def status_of(root: Path, *arguments: str) -> int:
    """The exit status of a process."""
    asked = [*COMMAND, *arguments]
    return subprocess.run(
        asked, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    ).returncode


def test_statuses_of_what_ends_by_itself(tmp_path: Path) -> None:
    lake = lake_at(tmp_path / "lake")
    assert status_of(tmp_path, "sql", lake, "select 1") == 0
    assert status_of(tmp_path, "sql", lake, "from nowhere") == 1
    assert status_of(tmp_path, "sql", lake, "--nonsense") == 2
    assert status_of(tmp_path, "nonsense") == 2
    assert status_of(tmp_path) == 2


def unread(pipe: int) -> int:
    """Bytes in a pipe that nobody has read."""
    left = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int.from_bytes(left, sys.byteorder)


def sleeps(pid: int) -> bool:
    """Whether a process waits for something."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_statuses_of_what_is_stopped(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    asked = [*COMMAND, "sql", lake_at(tmp_path / "lake"), "-f", "-"]
    with subprocess.Popen(asked, stdin=subprocess.PIPE) as one:
        assert one.stdin is not None
        # More than a pipe holds: once it is written, the query is being read.
        one.stdin.write(b"select 1; " * 20_000)
        one.stdin.flush()
        # A signal between two reads would be seen only after the next one.
        while unread(one.stdin.fileno()) or not sleeps(one.pid):
            time.sleep(0.1)
        one.send_signal(sent)
        assert one.wait(60) == status


def test_a_pipe_that_is_closed(tmp_path: Path) -> None:
    lake = lake_at(tmp_path / "lake")
    many = [*COMMAND, "sql", lake, "from range(1000000)", "--format", "csv"]
    with subprocess.Popen(many, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        one.stdout.close()
        assert one.wait(60) == 141


def test_every_status_is_met_here() -> None:
    assert set(STATUSES) == {0, 1, 2, 130, 141}

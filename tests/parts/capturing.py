"""Processes that capture and merge at once, or are killed while they do.

    python -m tests.parts.capturing killed|together|same PROFILE.json

In: a profile whose contexts and coders are ready, as JSON. Out: the lake, and a line of JSON about
what happened. Children come from a fork server that has the modules and no threads, so that no
child inherits a lock that a thread of its parent held:

- `killed`: one child after the other captures and merges, and is killed after a random time, until
  one gets through; then another run, until there were enough kills; the last run is completed;
- `together`: two children capture different shards while a third reads what is published;
- `same`: two children capture and merge the very same.
"""

import json
import multiprocessing
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

from delphi_assets import connect
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.errors import DataError
from delphi_assets.lake.lake import Lake
from delphi_assets.settings import Profile

KILLS = 12

_MODULES = ["tests.parts.capturing", "transformers.models.gpt_neox.modeling_gpt_neox"]
"""What the children need, loaded once."""

_server = multiprocessing.get_context("forkserver")


def work(profile: Profile, lake: Lake, shards: Sequence[int]) -> None:
    """Capture shards, and merge."""
    capture_only(profile, lake, shards)
    for hookpoint in profile.cache.hookpoints:
        merge_shards(profile, lake, hookpoint)


def capture_only(profile: Profile, lake: Lake, shards: Sequence[int]) -> None:
    """Capture shards."""
    torch.set_num_threads(1)
    capture(profile, lake, shards)


def start(task: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """Run `task` in a child."""
    child = _server.Process(target=task, args=arguments)
    child.start()
    return child


def status_of(child: ForkServerProcess) -> int | None:
    """The child's exit status, or minus the signal that ended it."""
    child.join()
    return child.exitcode


def killed(profile: Profile, lake: Lake) -> dict[str, object]:
    """Kill at random times of an undisturbed run, `KILLS` times; every run gets through."""
    draw, kills = random.Random(22), 0
    runs: list[str] = []
    undisturbed = prepared(profile, lake, "undisturbed")
    longest = timed(lambda: finish(undisturbed, lake))
    while kills < KILLS:
        run = prepared(profile, lake, f"killed-{len(runs)}")
        runs.append(run.run.name)
        ended = False
        while not ended and kills < KILLS:
            child = start(work, run, lake, range(run.n_shards))
            child.join(draw.uniform(0, 0.7 * longest))
            child.kill()
            status = status_of(child)
            assert status in (0, -signal.SIGKILL), status
            ended = status == 0
            kills += not ended
        finish(run, lake)
    return {"kills": kills, "runs": runs}


def prepared(profile: Profile, lake: Lake, name: str) -> Profile:
    """The profile under another run's name, with contexts and coders."""
    run = profile.model_copy(update={"run": profile.run.model_copy(update={"name": name})})
    build_contexts(run, lake)
    for hookpoint in run.cache.hookpoints:
        prepare_coder(run, lake, hookpoint)
    return run


def finish(profile: Profile, lake: Lake) -> None:
    """Everything in a child that nobody kills."""
    assert status_of(start(work, profile, lake, range(profile.n_shards))) == 0


def timed(task: Callable[[], None]) -> float:
    """Seconds that `task` takes."""
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def together(profile: Profile, lake: Lake) -> dict[str, object]:
    """Even shards by one, odd ones by the other; a third reads until all is done."""
    shards, folder = range(profile.n_shards), Path(lake.root)
    reader = start(read_on, lake)
    while not (folder / "looking").exists():
        time.sleep(0.01)
    writers = [start(capture_only, profile, lake, share) for share in (shards[::2], shards[1::2])]
    ends = [status_of(writer) for writer in writers]
    ends.append(status_of(start(work, profile, lake, shards)))
    (folder / "done").touch()
    ends.append(status_of(reader))
    return {"ends": ends, "reads": json.loads((folder / "reads").read_text())}


def read_on(lake: Lake) -> None:
    """Read what is published, again and again: files as their manifests say, whole buckets."""
    folder, seen = Path(lake.root), []
    with connect(lake) as con:
        while not (folder / "done").exists():
            units = lake.manifests("captured")
            try:
                for manifest in units:
                    lake.checked("captured", manifest.files)
            except DataError:
                # Merged shards are taken away; before that, none may be damaged.
                if not lake.manifests("activations"):
                    raise
            (rows,) = con.sql("select count(*) from activations").fetchall()[0]
            seen.append((len(units), rows))
            (folder / "looking").touch()
    (folder / "reads").write_text(json.dumps(seen))


def same(profile: Profile, lake: Lake) -> dict[str, object]:
    """Twice the same work at once."""
    shards = range(profile.n_shards)
    children = [start(capture_only, profile, lake, shards) for _ in range(2)]
    ends = [status_of(child) for child in children]
    ends.append(status_of(start(work, profile, lake, shards)))
    return {"ends": ends}


if __name__ == "__main__":
    _server.set_forkserver_preload(_MODULES)
    # The first child waits for the server's modules, which is not to be timed.
    status_of(start(time.time))
    torch.set_num_threads(1)
    given = Profile.model_validate_json(Path(sys.argv[2]).read_text(encoding="utf-8"))
    mode = {"killed": killed, "together": together, "same": same}[sys.argv[1]]
    sys.stdout.write(json.dumps(mode(given, Lake(given.run.lake))))

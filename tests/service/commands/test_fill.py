"""What `fill` prints and writes when readers see a new generation: nothing of it makes a good fill fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_store.errors import ConfigurationError, InputError, PartialFlipError
from service.commands.score_and_fill import fill_files
from service.fill.candidates.files import candidate_paths
from service.fill.options import FillOptions
from tests.support import REPOSITORY
from tests.support.service.command_line import Shop
from tests.support.service.running import settings_for
from tests.support.service.watched_fill import title_of, write_candidates

_FILL = ("fill", "c.tsv", "--marketplace", "us")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path) -> Shop:
    shop = Shop.in_folder(tmp_path_factory.mktemp("shop"), tiny_store)
    write_candidates(shop.folder / "c.tsv", 10, 5)
    return shop


@pytest.mark.parametrize(
    ("arguments", "redirected", "warning"),
    [
        ((*_FILL, "--report", "/dev/full"), "", "the report cannot be written to /dev/full"),
        (_FILL, "> /dev/full", "the report cannot be printed"),
        ((*_FILL, "--report", "out/r.json"), "> /dev/full 2> /dev/full", ""),
        (_FILL, ">&- 2>&-", ""),
    ],
)
def test_a_full_disk_under_the_report_leaves_the_fill_a_success(
    shop: Shop, arguments: tuple[str, ...], redirected: str, warning: str
) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirected}', "fill", sys.executable, "-m", "service", *arguments],
        cwd=shop.folder,
        env={**os.environ, **shop.settings, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert warning in done.stderr
    if warning and "--report" in arguments:
        assert json.loads(done.stdout)["flipped"]
    if "out/r.json" in arguments:
        assert json.loads((shop.folder / "out" / "r.json").read_text(encoding="utf-8"))["flipped"]


@pytest.mark.parametrize(
    ("name", "encoding", "shown"),
    [
        (b"caf\xe9.tsv", "utf-8", "caf\\xe9.tsv"),
        ("łożko.tsv".encode(), "latin-1", "łożko.tsv"),
        ("日本😀.tsv".encode(), "ascii", "日本😀.tsv"),
    ],
)
def test_any_name_of_a_file_can_be_printed_and_reported(
    shop: Shop, name: bytes, encoding: str, shown: str
) -> None:
    path = Path(os.fsdecode(name))
    write_candidates(shop.folder / path, 3, 5)
    spelled = Shop(shop.folder, {**shop.settings, "PYTHONIOENCODING": encoding})
    done = spelled.run("fill", str(path), "--marketplace", "us", "--report", "named.json")
    assert done.code == 0, done.errors
    written = json.loads((shop.folder / "named.json").read_text(encoding="utf-8"))
    assert json.loads(done.output)["files"] == written["files"] == [shown]


@pytest.mark.anyio
async def test_of_several_marketplaces_the_error_says_which_are_read(
    tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.tsv"
    rows = [f"q{number}\tp{number}\t{title_of(number)}\tus" for number in range(30)]
    path.write_text("\n".join(["query\tid\ttitle\tmarketplace", *rows]) + "\n", encoding="utf-8")
    settings = settings_for(tiny_store, tmp_path, fill_folder=tmp_path / "fills")
    report = tmp_path / "report.json"
    with pytest.raises(PartialFlipError, match=r"no pair of 'es'.* new generation of us; fill es again"):
        await fill_files(settings, ["us", "es"], [path], report, FillOptions())
    (filled,) = json.loads(capsys.readouterr().out)
    assert (filled["marketplace"], filled["flipped"]) == ("us", True)
    assert json.loads(report.read_text(encoding="utf-8")) == [filled]
    with pytest.raises(InputError, match="no pair of 'es'"):
        await fill_files(settings, ["es", "us"], [path], None, FillOptions())


@pytest.mark.anyio
async def test_a_report_that_can_never_be_written_is_refused_before_the_fill(
    tiny_store: Path, tmp_path: Path
) -> None:
    settings = settings_for(tiny_store, tmp_path, fill_folder=tmp_path / "fills")
    path = write_candidates(tmp_path / "c.tsv", 3, 5)
    (tmp_path / "file").touch()
    for report in (tmp_path, tmp_path / "file" / "r.json", Path("/proc/nowhere/r.json")):
        with pytest.raises(ConfigurationError, match="--report"):
            await fill_files(settings, ["us"], [path], report, FillOptions())
    assert not (tmp_path / "cache").exists()


@pytest.mark.anyio
async def test_a_pipe_is_refused_at_once_wherever_it_is_named(tiny_store: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_store, tmp_path, fill_folder=tmp_path / "fills")
    folder = tmp_path / "folder"
    folder.mkdir()
    pipe, link = folder / "pipe.tsv", folder / "link.tsv"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for named in (pipe, link, folder):
        with pytest.raises(InputError, match=r"\.tsv: .*no regular file"):
            await fill_files(
                settings, ["us"], candidate_paths([str(named)], settings.fill_folder), None, FillOptions()
            )
    path = write_candidates(tmp_path / "c.tsv", 3, 5)
    for traffic in (pipe, link, Path("/dev/zero")):
        with pytest.raises(InputError, match=r"regular file|unknown kind"):
            await fill_files(settings, ["us"], [path], None, FillOptions(traffic=traffic))


def test_a_fill_needs_no_ray() -> None:
    """Ray is an extra: whoever does not ask for a cluster is never asked for it."""
    code = "import sys; sys.modules['ray'] = None; import service.commands.score_and_fill"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)

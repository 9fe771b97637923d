"""Every command of `training` and `model_store` where the machine, its settings or its files are against it.

However a command ends, it is with an exit code of the table in docs/reference/command_line.md, and where that is
not 0, with a line on standard error that says what is wrong; never with a traceback.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.support.in_process import mounted_disk, run_in_process, small_settings, unmount, write_table
from tests.support.tiny_model import build_tiny_store
from tests.support.training.learners import toy_pairs

CODES = {0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 130}
PLAN = """
name: tiny
data: table:{table}
sequences: [[us]]
seeds: [0]
methods: [{{method: adapter}}]
settings: {{base_encoder: "folder:{encoder}"}}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, an encoder, a table, a plan: what a command needs to come as far as the fault."""
    work = tmp_path_factory.mktemp("work")
    build_tiny_store(work)
    write_table(work / "pairs.tsv", toy_pairs("us", 80))
    (work / "plan.yaml").write_text(PLAN.format(table=work / "pairs.tsv", encoder=work / "encoder"))
    return work


def training_commands(work: Path, output: Path) -> dict[str, list[str]]:
    data = ["--data", f"table:{work / 'pairs.tsv'}"]
    small = small_settings(work / "encoder")
    return {
        "continual": ["continual", *data, "--sequence", "us", "--translation", "none", *small],
        "add": ["add", *data, "--marketplace", "us", "--translation", "none"],
        "sequential": ["sequential", *data, "--sequence", "us", "--output", str(output / "m.json"), *small],
        "evaluate": ["evaluate", *data],
        "predict": ["predict", str(work / "pairs.tsv"), "--output", str(output / "scores.tsv")],
        "candidates": ["candidates", *data, "--marketplace", "us", "--output", str(output / "candidates.tsv")],
        "experiment": ["experiment", str(work / "plan.yaml"), "--output", str(output / "runs")],
        "merge": ["merge", str(output / "all"), str(output / "runs")],
        "report": ["report", str(output / "runs"), "--output", str(output / "report")],
    }


STORE_COMMANDS = {
    "list": ["list"],
    "list as JSON": ["list", "--json"],
    "show": ["show"],
    "verify": ["verify"],
    "promote": ["promote", "1"],
    "rollback": ["rollback"],
    "latest": ["latest"],
    "encoder": ["encoder", "packaged:1"],
}


def ended_well(code: int, errors: str, expect_error: bool = True) -> None:
    assert "Traceback" not in errors, errors
    assert code in CODES, f"{code}: {errors}"
    assert code or not expect_error
    told = [line for line in errors.splitlines() if line.startswith("error: ") or "Error" in line]
    assert told or not code or code == 130, errors
    assert all(len(line) < 1500 for line in told)


class Place:
    """A folder or file that a command is pointed at, and cannot use."""

    def __init__(self, work: Path, name: str) -> None:
        self.path = getattr(self, f"_{name}")(work / "places")

    def _missing(self, places: Path) -> Path:
        return places / "missing"

    def _a_file(self, places: Path) -> Path:
        places.mkdir(exist_ok=True)
        (places / "file").write_text("no folder")
        return places / "file"

    def _below_a_file(self, places: Path) -> Path:
        return self._a_file(places) / "store"

    def _of_the_system(self, places: Path) -> Path:
        return Path("/proc/store")

    def _a_loop(self, places: Path) -> Path:
        places.mkdir(exist_ok=True)
        if not (places / "loop").is_symlink():
            (places / "loop").symlink_to("loop")
        return places / "loop"

    def _a_dangling_link(self, places: Path) -> Path:
        places.mkdir(exist_ok=True)
        if not (places / "dangling").is_symlink():
            (places / "dangling").symlink_to("/proc/nowhere")
        return places / "dangling"

    def _a_long_name(self, places: Path) -> Path:
        return places / ("n" * 300)

    def _not_utf_8(self, places: Path) -> Path:
        return Path(os.fsdecode(os.fsencode(places / "caf") + b"\xe9"))

    def _the_device_that_is_full(self, places: Path) -> Path:
        return Path("/dev/full")


PLACES = ["missing", "a_file", "below_a_file", "of_the_system", "a_loop", "a_dangling_link", "a_long_name",
          "not_utf_8", "the_device_that_is_full"]  # fmt: skip
WRITABLE = ("missing", "not_utf_8")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", STORE_COMMANDS)
def test_store_commands_with_a_store_that_is_none(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    from model_store.cli import app

    settings = {"MODEL_STORE": str(Place(work, place).path)}
    if command == "encoder":
        settings = {"RELEVANCE_CACHE": str(Place(work, place).path)}
        if place in WRITABLE:
            settings = {"RELEVANCE_CACHE": "/proc/encoders"}
    code, output, errors = run_in_process(app, STORE_COMMANDS[command], settings, monkeypatch, capsys)
    ended_well(code, errors, expect_error=not command.startswith("list"))
    if command.startswith("list"):
        assert code or output.strip() in ("", "[]")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["continual", "add", "evaluate", "predict"])
def test_training_commands_with_a_store_that_is_none(
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    place: str,
) -> None:
    if command == "continual" and place in WRITABLE:
        place = "of_the_system"
    store = Place(work, place).path
    code, errors = train(
        training_commands(work, tmp_path)[command], {"MODEL_STORE": str(store)}, monkeypatch, capsys
    )
    ended_well(code, errors)


@pytest.mark.parametrize("place", [place for place in PLACES if place not in WRITABLE])
@pytest.mark.parametrize("command", ["sequential", "predict", "candidates", "experiment", "merge", "report"])
def test_outputs_that_cannot_be_written(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    output = Place(work, place).path
    settings = {"MODEL_STORE": str(work / "store")}
    code, errors = train(training_commands(work, output)[command], settings, monkeypatch, capsys)
    ended_well(code, errors)


def against_it(name: str, work: Path, folder: Path, disk: Callable[..., Path]) -> tuple[dict[str, str], Path]:
    """Settings, and the folder for outputs, in a hostile environment; commands run in `folder`."""
    store = {"MODEL_STORE": str(work / "store")}
    if name in ENV_FILES:
        (folder / ".env").write_bytes(ENV_FILES[name])
        return {}, folder
    if name == "a .env that is a folder":
        (folder / ".env").mkdir()
        return {}, folder
    if name == "a full disk":
        return {"RELEVANCE_CACHE": str(disk("16k", full=True) / "encoders")}, disk("16k", full=True)
    if name == "a new store on a full disk":
        return {"MODEL_STORE": str(disk("16k", full=True) / "store")}, folder
    if name.startswith("a disk that fills up"):
        small = disk(name.rsplit(" ", 1)[1], full=False)
        return {"MODEL_STORE": str(small / "store")}, small
    if name == "an encoder cache that is a file":
        (folder / "cache").write_text("no folder")
        return {**store, "RELEVANCE_CACHE": str(folder / "cache")}, Path("/proc/outputs")
    if name == "no home, no temporary folder":
        return {**store, "HOME": "/nowhere", "TMPDIR": "/nowhere", "XDG_CACHE_HOME": ""}, Path("/proc/outputs")
    if name == "every variable empty":
        return dict.fromkeys(("MODEL_STORE", "RELEVANCE_CACHE", "RELEVANCE_DATA", "HOME"), ""), folder
    assert name == "a terminal of no size"
    return {**store, "COLUMNS": "0", "LINES": "-1", "TERM": "unknown"}, Path("/proc/outputs")


ENV_FILES = {
    "a .env in UTF-16": "MODEL_STORE=store\n".encode("utf-16"),
    "a .env in Latin-1": "MODEL_STORE=caf\xe9\n".encode("latin-1"),
    "a .env that is no text": bytes(range(256)),
    "a .env with a line that is none": b"MODEL STORE = store\n",
}
ENVIRONMENTS = (
    *ENV_FILES,
    "a .env that is a folder",
    "a full disk",
    "a new store on a full disk",
    "a disk that fills up after 128k",
    "a disk that fills up after 512k",
    "a disk that fills up after 1m",
    "an encoder cache that is a file",
    "no home, no temporary folder",
    "every variable empty",
    "a terminal of no size",
)


@pytest.fixture
def disk() -> Iterator[Callable[..., Path]]:
    """Small disks, which end with the test."""
    with ExitStack() as ends:

        def mounted(size: str, *, full: bool) -> Path:
            disk = mounted_disk(size, full=full)
            ends.callback(unmount, disk)
            return disk

        yield mounted


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("package", ["model_store", "training"])
def test_every_command_ends_with_a_line_that_says_what_to_do(
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    disk: Callable[..., Path],
    package: str,
    environment: str,
) -> None:
    from model_store.cli import app

    for name in ("MODEL_STORE", "RELEVANCE_CACHE", "RELEVANCE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    settings, output = against_it(environment, work, tmp_path, disk)
    if package == "model_store":
        for arguments in STORE_COMMANDS.values():
            code, _, errors = run_in_process(app, arguments, settings, monkeypatch, capsys)
            ended_well(code, errors, expect_error=False)
        return
    for arguments in training_commands(work, output).values():
        code, errors = train(arguments, settings, monkeypatch, capsys)
        ended_well(code, errors, expect_error=False)


BROKEN_FILES: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(64),
    "half": b'{"latest": 1, "promo',
    "a list": b"[1, 2]",
    "other fields": b'{"promoted": [true, "1"], "latest": null}',
    "infinite": b'{"promoted": [Infinity]}',
    "deep": b"[" * 200_000,
    "utf-16": '{"promoted": [1]}'.encode("utf-16"),
}


@pytest.mark.parametrize("content", BROKEN_FILES)
@pytest.mark.parametrize(
    "file",
    [
        "latest.json",
        "versions/0001/manifest.json",
        "versions/0001.sha256",
        "versions/0001/head.safetensors",
        "versions/0001/fusion/adapter_fusion_config.json",
    ],
)
def test_store_commands_with_a_broken_file(
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    content: str,
) -> None:
    from model_store.cli import app

    shutil.copytree(work / "store", tmp_path / "store")
    (tmp_path / "store" / file).write_bytes(BROKEN_FILES[content])
    for command, arguments in STORE_COMMANDS.items():
        if command != "encoder":
            settings = {"MODEL_STORE": str(tmp_path / "store")}
            code, _, errors = run_in_process(app, arguments, settings, monkeypatch, capsys)
            ended_well(code, errors, expect_error=command == "verify" and file != "latest.json")


@pytest.mark.parametrize("content", BROKEN_FILES)
@pytest.mark.parametrize("file", ["pairs.tsv", "preset.yaml", "plan.yaml", "output/runs/plan.yaml"])
def test_training_commands_with_a_broken_file(
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    content: str,
) -> None:
    for name in ("pairs.tsv", "plan.yaml", "encoder", "store"):
        (tmp_path / name).symlink_to(work / name)
    path = tmp_path / file
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(BROKEN_FILES[content])
    commands = training_commands(tmp_path, tmp_path / "output")
    chosen = {
        "pairs.tsv": ["continual", "add", "sequential", "evaluate", "predict", "candidates"],
        "preset.yaml": ["continual", "sequential"],
        "plan.yaml": ["experiment"],
        "output/runs/plan.yaml": ["merge", "report"],
    }[file]
    more = ["--preset", str(path), "--set", "base_encoder=folder:/nowhere"] if file == "preset.yaml" else []
    for command in chosen:
        settings = {"MODEL_STORE": str(work / "store")}
        code, errors = train([*commands[command], *more], settings, monkeypatch, capsys)
        ended_well(code, errors)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("adapter_stage.learning_rate=.inf", "adapter_stage.learning_rate: Input should be a finite number"),
        ("distillation.weight=.nan", "distillation.weight: Input should be a finite number"),
        ("adapter_stage.learning_rate=-.inf", "adapter_stage.learning_rate: Input should be"),
        ("seed=1e400", "seed: Input should be a"),
        (f"seed={'9' * 5000}", "seed: "),
        ("seed=-1", "seed: Input should be greater than or equal to 0"),
        ("languages.us=[no]", "languages.us: Input should be a valid string"),
        ("languages.us=norwegian", "no ISO 639-1 code"),
        (f"base_encoder={'[' * 3000}", "is no YAML"),
        ("base_encoder=", "base_encoder: Input should be a valid string"),
        ("base_encoder=packaged:0", "has 12 layers"),
        ("base_encoder=folder:~nobody-of-this-name/encoder", "base_encoder"),
        ("a.b.c=1", "a: Extra inputs are not permitted"),
        (".=1", "a name is empty"),
        ("=1", "write it as field=value"),
        ("adapter=1", "adapter: Input should be"),
        ("pair_encoding.max_product_tokens=255", "the encoder holds 256"),
    ],
)
def test_settings_that_cannot_be(
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    told: str,
) -> None:
    command = [*training_commands(work, tmp_path)["continual"], "--set", setting]
    code, errors = train(command, {"MODEL_STORE": str(tmp_path)}, monkeypatch, capsys)
    assert code in (2, 3), errors
    assert told in errors.replace("base encoder", "base_encoder")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("run", ["../x", "../../x", "/etc/x", "a/b", ".", "..", ".hidden", "n" * 300, "a\nb"])
def test_a_run_stays_in_the_store(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: str
) -> None:
    store = tmp_path / "deep" / "store"
    command = [*training_commands(work, tmp_path)["continual"], "--run", run]
    code, errors = train(command, {"MODEL_STORE": str(store)}, monkeypatch, capsys)
    assert code == 3
    assert "has a name that no folder below" in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sequence", ["", "us,,es", "us;es", "../us", "us\x00", "US, es ,"])
def test_a_sequence_that_is_none(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sequence: str
) -> None:
    command = training_commands(work, tmp_path)["continual"]
    command[command.index("--sequence") + 1] = sequence
    code, errors = train(command, {"MODEL_STORE": str(tmp_path)}, monkeypatch, capsys)
    assert code == 2
    assert "is no marketplace name: use 1 to 32 of" in errors


def train(
    arguments: Sequence[str],
    settings: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str]:
    from training.cli import app

    code, _, errors = run_in_process(app, arguments, {"COLUMNS": "400", **settings}, monkeypatch, capsys)
    return code, errors


def process(module: str, *arguments: str, shell: str = "", **settings: str) -> tuple[int, str]:
    """Exit code and standard error, of a process of its own; `shell` redirects it."""
    quoted = " ".join(f"'{argument}'" for argument in (sys.executable, "-m", module, *arguments))
    done = subprocess.run(
        ["bash", "-c", f"{quoted} {shell}"],
        cwd=settings.pop("cwd", str(REPOSITORY)),
        env={**os.environ, "OMP_NUM_THREADS": "1", **settings},
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (">/dev/full", 1),
        (">&-", 0),
        ("2>&-", 0),
        ("</dev/null", 0),
        ("| sleep 0; exit ${PIPESTATUS[0]}", 1),
    ],
)
def test_a_standard_stream_that_is_full_or_closed(work: Path, shell: str, expected: int) -> None:
    code, errors = process("model_store", "list", shell=shell, MODEL_STORE=str(work / "store"))
    assert code in (expected, 0 if "|" in shell else expected), errors  # the reader may be slower
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    if "full" in shell:
        assert errors.startswith("error: standard output cannot be written (No space left on device); make room")


@pytest.mark.parametrize(
    "settings",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"HOME": "/nowhere"},
        {"HOME": ""},
        {"TMPDIR": "/nowhere", "TMP": "/nowhere"},
        {"COLUMNS": "no number", "LINES": "-1"},
        {"COLUMNS": "1"},
        {"TERM": "unknown", "FORCE_COLOR": "1"},
        {"RANK": "no number"},
        {"XDG_CACHE_HOME": "relative/folder"},
    ],
    ids=str,
)
def test_an_environment_that_is_odd(work: Path, settings: dict[str, str]) -> None:
    code, errors = process("model_store", "list", MODEL_STORE=str(work / "store"), **settings)
    assert (code, errors) == (0, "")
    command = ["candidates", "--data", "nowhere", "--marketplace", "us", "--output", "/proc/x"]
    code, errors = process("training", *command, **settings)
    ended_well(code, errors)
    assert code == 2


def test_an_error_that_nobody_foresaw_is_one_line_and_shown_in_full_where_asked_for(tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(
        "import typer\nfrom model_store.cli import run\napp = typer.Typer()\n"
        "@app.command()\ndef fail() -> None:\n    raise KeyError('one\\nand two')\nrun(app)\n"
    )
    for flags, told in (([], "error: KeyError: 'one"), (["-X", "dev", "-W", "ignore"], "Traceback (most recent")):
        done = subprocess.run(
            [sys.executable, *flags, str(script)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        assert done.returncode == 1
        assert told in done.stderr
        assert (len(done.stderr.splitlines()) == 1) == (not flags)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EMFILE, errno.EIO])
def test_an_error_of_the_machine_names_the_file_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    import typer

    failing = typer.Typer()

    @failing.command()
    def fail() -> None:
        raise OSError(number, os.strerror(number), "/some/file")

    code, _, errors = run_in_process(failing, [], {}, monkeypatch, capsys)
    assert code == 3
    assert errors.startswith(f"error: /some/file: {os.strerror(number)}; ")
    assert len(errors.splitlines()) == 1

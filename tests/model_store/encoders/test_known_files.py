"""Folders of models that would run code where they are loaded: here they load as data, or are refused.

A process of its own loads them, as in each of them lie traps that leave a file where they are run: Python files
beside the weights, pickles, and the packages `kernels` and `peft`, which a user may have installed, as stand-ins.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.support import REPOSITORY
from tests.support.training.tiny_marian import make_tiny_marian

HUB_KERNEL = "somebody/attention"

_LOAD = """
import sys
from model_store.encoders.base_encoders import parse_base_encoder
from model_store.errors import ConfigurationError, TranslationError
from training.translation.opus_mt.translator import OpusMtTranslator

for name in sys.stdin.read().split():
    try:
        if name.startswith("marian"):
            OpusMtTranslator("en", "es", model=__import__("pathlib").Path(name)).translate(["red shoes"])
        else:
            encoder, tokenizer = parse_base_encoder(f"folder:{name}").load()
            assert tokenizer("red shoes")["input_ids"]
        print(name, "loaded")
    except (ConfigurationError, TranslationError) as error:
        print(name, "refused", str(error).replace(chr(10), " "))
"""
_PLAINLY = """
from transformers import AutoModel
AutoModel.from_pretrained("encoder_attention_of_the_hub")
"""

_PACKAGE = """
class _AnyName(type):
    def __getattr__(cls, name): return cls
    def __or__(cls, other): return cls
class _Any(metaclass=_AnyName):
    def __init__(self, *_, **__): pass
Device = LayerRepository = LocalLayerRepository = Mode = _Any
def get_kernel(*_, **__):
    open("MARK", "w").close()
    raise OSError("sprung")
load_adapter = get_kernel
def register_kernel_mapping(*_, **__): pass
def replace_kernel_forward_from_hub(*_, **__): pass
def use_kernel_forward_from_hub(*_, **__): return lambda cls: cls
"""


class _Trap:
    """A pickle that runs something where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


Change = Callable[[Path, str], None]


def edited(file: str, **fields: object) -> Change:
    def change(folder: Path, trap: str) -> None:
        path = folder / file
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        content.update(fields)
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change


def python_files(folder: Path, trap: str) -> None:
    code = f"{trap}\nclass Evil:\n    def __init__(self, *_, **__):\n        {trap}\n"
    for name in ("evil.py", "generate.py", "conftest.py", "sitecustomize.py"):
        (folder / name).write_text(code)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(code)


def pickled_weights(folder: Path, trap: str) -> None:
    mark = Path(trap.split("'")[1])
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Trap(mark)))
    (folder / "model.safetensors").unlink()


def pickled_shard(folder: Path, trap: str) -> None:
    pickled_weights(folder, trap)
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "pytorch_model.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def shard_elsewhere(folder: Path, trap: str) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def weights_for(framework: str) -> Change:
    def change(folder: Path, trap: str) -> None:
        tensors = load_file(folder / "model.safetensors")
        save_file(tensors, folder / "model.safetensors", metadata={"format": framework})

    return change


AUTO_MAP = dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer", "AutoModelForSeq2SeqLM"), "evil.Evil")
AUTO_MAP_OF_A_TOKENIZER = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
NESTED = {"model_type": "evil", "auto_map": AUTO_MAP, "_name_or_path": "."}

HARMLESS: dict[str, Change] = {
    "python_files": python_files,
    "auto_map": edited("config.json", auto_map=AUTO_MAP, trust_remote_code=True, custom_pipelines=AUTO_MAP),
    "auto_map_of_the_tokenizer": edited(
        "tokenizer_config.json", auto_map=AUTO_MAP_OF_A_TOKENIZER, trust_remote_code=True
    ),
    "auto_map_of_a_processor": edited("processor_config.json", auto_map=AUTO_MAP, processor_class="Evil"),
    "attention_of_the_hub": edited(
        "config.json",
        _attn_implementation_internal=HUB_KERNEL,
        _attn_implementation=HUB_KERNEL,
        attn_implementation=HUB_KERNEL,
        _experts_implementation=HUB_KERNEL,
        use_kernels=True,
    ),
    "quantised": edited(
        "config.json", quantization_config={"quant_method": "gptq", "bits": 4, "dataset": "evil"}
    ),
    "architecture": edited("config.json", architectures=["Evil"], torch_dtype="evil", dtype="evil"),
    "adapter": edited(
        "adapter_config.json", base_model_name_or_path="somebody/model", peft_type="LORA", auto_mapping=AUTO_MAP
    ),
    "generation": edited(
        "generation_config.json", custom_generate="evil.py", _from_model_config=True, cache_implementation="evil"
    ),
    "chat_template": edited(
        "tokenizer_config.json", chat_template="{{ cycler.__init__.__globals__.os.system('touch evil') }}"
    ),
    "tokenizer_of_the_configuration": edited("tokenizer_config.json", tokenizer_class=None),
    "tokenizer_s_arguments": edited(
        "tokenizer_config.json",
        sp_model_kwargs={"enable_sampling": True},
        backend="evil",
        vocab_file="/etc/passwd",
    ),
}
REFUSED: dict[str, Change] = {
    "another_model": edited("config.json", model_type="evil", auto_map=AUTO_MAP),
    "no_model": edited("config.json", model_type=None, auto_map=AUTO_MAP),
    "nested_configuration": edited(
        "config.json", model_type="lightglue", trust_remote_code=True, keypoint_detector_config=NESTED
    ),
    "nested_tokenizer": edited("config.json", model_type="rag", question_encoder=NESTED, generator=NESTED),
    "pickled_weights": pickled_weights,
    "pickled_shard": pickled_shard,
    "shard_elsewhere": shard_elsewhere,
    "weights_for_tensorflow": weights_for("tf"),
    "weights_for_flax": weights_for("flax"),
    "activation": edited("config.json", hidden_act="__import__('os')", activation_function="__import__('os')"),
    "sizes_that_are_none": edited("config.json", hidden_size="32", d_model="16"),
}
CASES = {**HARMLESS, **REFUSED}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, tiny_encoder_folder: Path) -> Path:
    """Folders `encoder_CASE` and `marian_CASE`, each python file of them a trap, and packages that are traps."""
    work = tmp_path_factory.mktemp("hostile")
    marian = make_tiny_marian(work / "sound")
    for case, change in CASES.items():
        for kind, sound in (("encoder", tiny_encoder_folder), ("marian", marian)):
            folder = work / f"{kind}_{case}"
            shutil.copytree(sound, folder)
            trap = f"open('{work / 'sprung' / folder.name}', 'w').close()"
            if case != "python_files":
                python_files(folder, trap)
            change(folder, trap)
    (work / "sprung").mkdir()
    for package, number in (("kernels", "0.10.0"), ("peft", "0.18.0")):
        path = work / "packages" / package
        path.mkdir(parents=True)
        mark = work / "sprung" / package
        path.joinpath("__init__.py").write_text(_PACKAGE.replace("MARK", str(mark)), encoding="utf-8")
        information = work / "packages" / f"{package}-{number}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n")
    return work


def run(work: Path, code: str, names: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(REPOSITORY), str(work / "packages")))
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "HOME": str(work)}
    return subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=work, env=environment, input=names, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def outcomes(work: Path) -> dict[str, str]:
    names = " ".join(f"{kind}_{case}" for kind in ("encoder", "marian") for case in CASES)
    done = run(work, _LOAD, names)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("kind", ["encoder", "marian"])
@pytest.mark.parametrize("case", CASES)
def test_nothing_of_the_folder_is_run(work: Path, outcomes: dict[str, str], kind: str, case: str) -> None:
    name = f"{kind}_{case}"
    assert name in outcomes
    assert not (work / "sprung" / name).exists()
    assert not (work / "sprung" / "kernels").exists()
    assert not (work / name / "evil").exists()


@pytest.mark.parametrize("kind", ["encoder", "marian"])
@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_not_known_is_left_out(outcomes: dict[str, str], kind: str, case: str) -> None:
    assert outcomes[f"{kind}_{case}"] == "loaded"


@pytest.mark.parametrize("kind", ["encoder", "marian"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_loaded_as_data_is_refused(outcomes: dict[str, str], kind: str, case: str) -> None:
    assert outcomes[f"{kind}_{case}"].startswith("refused")


@pytest.mark.skipif(not version("transformers").startswith("4."), reason="transformers 5.3 mends this itself")
def test_the_trap_is_one(work: Path, outcomes: dict[str, str]) -> None:
    """Loaded plainly, one of the folders springs it: the test above would notice."""
    assert outcomes
    sprung = work / "sprung" / "kernels"
    assert not sprung.exists()
    run(work, _PLAINLY)
    assert sprung.exists()
    sprung.unlink()

"""Which OPUS-MT model serves a language pair, and where its files are.

Facts are from the models' cards of Helsinki-NLP and from their file lists on the model hub.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from model_store.errors import TranslationError, hub_errors
from training.translation.base import pair_name

WEIGHTS = "model.safetensors"
CONVERTED_WEIGHTS = "model.bin"
"""CTranslate2's own binary form, which is no pickle."""

_FILES = [
    "config.json",
    "generation_config.json",
    "source.spm",
    "target.spm",
    "vocab.json",
    "target_vocab.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    WEIGHTS,
]
_NEEDED = ("config.json", "source.spm", "target.spm", "vocab.json")
_SECONDS_TO_WAIT_FOR_THE_HUB = 10.0


@dataclass(frozen=True, slots=True)
class OpusMtModel:
    """A model on the hub; `prefix` names the target language to a model that knows several."""

    hub_id: str
    revision: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.hub_id}@{self.revision}" if self.revision else self.hub_id


EXCEPTIONS: dict[str, OpusMtModel] = {
    # "ja" is "jap" in this one direction; ja-en follows the pattern, and jap-en is a worse model for it.
    "en-ja": OpusMtModel("Helsinki-NLP/opus-mt-en-jap"),
    # Models of two dialects and of a language family; without a label the first picks a dialect at random.
    "en-pt": OpusMtModel("Helsinki-NLP/opus-mt-tc-big-en-pt", prefix=">>por<< "),
    "pt-en": OpusMtModel("Helsinki-NLP/opus-mt-ROMANCE-en"),
    "ro-en": OpusMtModel("Helsinki-NLP/opus-mt-ROMANCE-en"),
}
"""Pairs whose model is not called `Helsinki-NLP/opus-mt-{source}-{target}`."""


def default_model(source: str, target: str) -> OpusMtModel:
    """The hub's model for a language pair: by the pattern, or an exception to it."""
    pair = pair_name(source, target)
    return EXCEPTIONS.get(pair, OpusMtModel(f"Helsinki-NLP/opus-mt-{pair}"))


@dataclass(frozen=True, slots=True)
class MarianFiles:
    """The files of one pair's model: in a folder, or on the hub until they are asked for."""

    pair: str
    model: OpusMtModel
    local: Path | None = None

    @property
    def prefix(self) -> str:
        """What is put before every text."""
        return self.model.prefix

    @property
    def identity(self) -> str:
        """The hub id with its revision, or a digest of the folder's configuration and weights."""
        return folder_digest(self.local) if self.local else str(self.model)

    def folder(self) -> Path:
        """Where the files are; downloads them if need be.

        Raises:
            TranslationError: the hub did not give them.
        """
        return self.local or download(self.model, self.pair)


def find_marian_files(source: str, target: str, chosen: str | Path | None, *, converted: bool) -> MarianFiles:
    """Look for a pair's model without loading or downloading it.

    Args:
        source: ISO 639-1 code.
        target: ISO 639-1 code.
        chosen: a folder or `HUB_ID[@REVISION]`; the pair's default model if None.
        converted: whether a folder converted by CTranslate2 is wanted instead of safetensors.

    Raises:
        TranslationError: there is no such model, or it is not in the form wanted.
    """
    pair = pair_name(source, target)
    if isinstance(chosen, Path) or (chosen and (converted or _looks_like_folder(chosen))):
        folder = Path(chosen).expanduser()
        check_model_folder(folder, pair, CONVERTED_WEIGHTS if converted else WEIGHTS)
        return MarianFiles(pair, OpusMtModel(str(folder)), folder)
    if converted:
        raise TranslationError(
            f"ctranslate2 for {pair} needs a converted model: name its folder as {pair}=ctranslate2:FOLDER"
        )
    model = OpusMtModel(*chosen.partition("@")[::2]) if chosen else default_model(source, target)
    check_hub_model(model, pair)
    return MarianFiles(pair, model)


def _looks_like_folder(chosen: str) -> bool:
    return Path(chosen).expanduser().is_dir() or chosen.count("/") != 1 or chosen[0] in "./~"


def folder_digest(folder: Path) -> str:
    """A digest of all of a model's files: two folders of one name may hold different models."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.name in (*_FILES, CONVERTED_WEIGHTS)):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def check_model_folder(folder: Path, pair: str, weights: str = WEIGHTS) -> None:
    """Refuse a folder that does not hold a Marian model with `weights`.

    Raises:
        TranslationError: the folder or one of its files is missing.
    """
    if not folder.is_dir():
        raise TranslationError(f"opus_mt for {pair}: there is no folder {folder}; {_what_to_do(pair)}")
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise TranslationError(
            f"opus_mt for {pair}: {folder} lacks {', '.join(missing)}; download the model's whole folder"
        )
    if (folder / weights).is_file():
        return
    if weights == CONVERTED_WEIGHTS:
        raise TranslationError(
            f"ctranslate2 for {pair}: {folder} has no {weights}; convert the model by ct2-transformers-converter"
        )
    raise TranslationError(_no_safetensors(str(folder), pair))


def check_hub_model(model: OpusMtModel, pair: str) -> None:
    """Refuse a hub model that is neither downloaded nor on the hub with safetensors weights.

    One short request, no download.

    Raises:
        TranslationError: no such model, no safetensors file, or the hub did not answer.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if _downloaded(model):
        return
    try:
        information = HfApi().model_info(
            model.hub_id, revision=model.revision or None, timeout=_SECONDS_TO_WAIT_FOR_THE_HUB
        )
    except HFValidationError as error:
        raise TranslationError(
            f"opus_mt for {pair}: {str(model)!r} is neither a folder nor a hub id; {_what_to_do(pair)}"
        ) from error
    except HfHubHTTPError as error:
        raise TranslationError(
            f"opus_mt for {pair}: the hub has no model {model} to give ({_first_line(error)}); "
            f"{_what_to_do(pair)}"
        ) from error
    except hub_errors() as error:
        raise TranslationError(_unreachable(model, pair, error)) from error
    if WEIGHTS not in {file.rfilename for file in information.siblings or ()}:
        raise TranslationError(_no_safetensors(str(model), pair))


def download(model: OpusMtModel, pair: str) -> Path:
    """The folder of a hub model's files, downloaded unless they are there; never a pickle file.

    Raises:
        TranslationError: the hub did not answer, or the model has no safetensors weights.
    """
    from huggingface_hub import snapshot_download

    folder = _downloaded(model)
    if folder:
        return folder
    try:
        folder = Path(
            snapshot_download(
                model.hub_id,
                revision=model.revision or None,
                allow_patterns=_FILES,
                etag_timeout=_SECONDS_TO_WAIT_FOR_THE_HUB,
            )
        )
    except hub_errors() as error:
        raise TranslationError(_unreachable(model, pair, error)) from error
    check_model_folder(folder, pair)
    return folder


def _downloaded(model: OpusMtModel) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        revision = model.revision or None
        # Newer clients compare what is there with the list of all that is wanted.
        folder = Path(
            snapshot_download(model.hub_id, revision=revision, allow_patterns=_FILES, local_files_only=True)
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    # A download that was interrupted leaves some of the files.
    return folder if all((folder / name).is_file() for name in (*_NEEDED, WEIGHTS)) else None


def _unreachable(model: OpusMtModel, pair: str, error: BaseException) -> str:
    return (
        f"opus_mt for {pair}: the model hub did not answer for {model} ({type(error).__name__}); "
        f"{_what_to_do(pair)}"
    )


def _no_safetensors(place: str, pair: str) -> str:
    return (
        f"opus_mt for {pair}: {place} has no {WEIGHTS}, and pickle files are never loaded; convert the model "
        "once where you trust it (MarianMTModel.save_pretrained writes safetensors) and name the folder as "
        f"{pair}=opus_mt:FOLDER, or name a revision that has the file as {pair}=opus_mt:HUB_ID@REVISION"
    )


def _what_to_do(pair: str) -> str:
    return (
        f"download the model where the hub is reachable and name its folder as {pair}=opus_mt:FOLDER, "
        f"or choose another translator for {pair}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]

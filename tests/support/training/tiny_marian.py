from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel

from training.translation.base import translate_distinct

SENTENCES = [
    "red running shoes for women",
    "wireless noise cancelling headphones",
    "stainless steel water bottle",
    "zapatillas rojas para mujer",
    "auriculares inalámbricos con cancelación de ruido",
    "botella de agua de acero inoxidable",
] * 5


def make_tiny_marian(folder: Path) -> Path:
    """A random Marian model in the file format of OPUS-MT, its tokenizer trained on the sentences."""
    folder.mkdir(parents=True)
    vocabulary = _write_tokenizer(folder)
    torch.manual_seed(0)
    pad = vocabulary["<pad>"]
    configuration = MarianConfig(
        vocab_size=len(vocabulary),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=512,
        scale_embedding=True,
        static_position_embeddings=True,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=vocabulary["</s>"],
        forced_eos_token_id=vocabulary["</s>"],
        num_beams=1,
        init_std=0.5,
    )
    model = MarianMTModel(configuration)
    model.generation_config.bad_words_ids = [[pad]]
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def _write_tokenizer(folder: Path) -> dict[str, int]:
    text = folder / "sentences.txt"
    text.write_text("\n".join(SENTENCES), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "both"), vocab_size=50, minloglevel=2, num_threads=1
    )
    model = (folder / "both.model").read_bytes()
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    ordered = ["</s>", "<unk>", *(piece for piece in pieces if piece[0] != "<"), "<pad>"]
    vocabulary = {piece: number for number, piece in enumerate(ordered)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"source_lang": "en", "target_lang": "es", "model_max_length": 512}), encoding="utf-8"
    )
    return vocabulary


class CountingTranslator:
    """Upper case with a mark, and a record of every batch that it was asked for."""

    def __init__(self, source: str = "en", target: str = "es", name: str = "counting") -> None:
        self.name = name
        self.source = source
        self.target = target
        self.batches: list[list[str]] = []

    def translate(self, texts: Sequence[str]) -> list[str]:
        return translate_distinct(texts, self, self._upper)

    def _upper(self, texts: list[str]) -> list[str]:
        self.batches.append(texts)
        return [f"{self.target}:{text.upper()}" for text in texts]

    @property
    def asked(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


COMMIT = "0123456789012345678901234567890123456789"


class LocalHub(ThreadingHTTPServer):
    """A model hub on this machine: `folders` holds a folder of files for each hub id."""

    def __init__(self, folders: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders = folders
        self.downloads: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.removeprefix("/").removeprefix("api/models/").partition("?")[0]
        for hub_id, folder in self.server.folders.items():
            if path.startswith(f"{hub_id}/resolve/"):
                return self._file(folder / path.rsplit("/", 1)[1])
            if path.startswith(f"{hub_id}/tree/"):
                return self._tree(folder)
            if path == hub_id or path.startswith(f"{hub_id}/revision/"):
                return self._information(hub_id, folder)
        return self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _information(self, hub_id: str, folder: Path) -> None:
        siblings = [{"rfilename": path.name} for path in sorted(folder.iterdir())]
        self._answer(200, json.dumps({"id": hub_id, "sha": COMMIT, "siblings": siblings}).encode())

    def _tree(self, folder: Path) -> None:
        files = [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": path.name}
            for path in sorted(folder.iterdir())
        ]
        self._answer(200, json.dumps(files).encode())

    def _file(self, path: Path) -> None:
        content = path.read_bytes()
        if self.command == "GET":
            self.server.downloads.append(path.name)
        digest = hashlib.sha256(content).hexdigest()
        self._answer(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silent: what a test wants to know is in `downloads`."""


@contextmanager
def local_hub(folders: dict[str, Path]) -> Iterator[LocalHub]:
    with LocalHub(folders) as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()

from __future__ import annotations

import json
from pathlib import Path

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel

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

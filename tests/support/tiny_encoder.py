"""A two-layer random encoder with a real tokenizer, made in a second: the tests' base encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, RobertaModel, XLMRobertaModel

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-.,&áéíóúñüöäßçãõ"


def write_tiny_encoder(folder: Path, *, layers: int = 2, hidden_size: int = 32, seed: int = 0) -> Path:
    """Write a random BERT encoder and a character-level WordPiece tokenizer as a Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    configuration = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=256,
    )
    encoder = BertModel(configuration, add_pooling_layer=False)
    encoder.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return folder


def write_tiny_roberta(folder: Path, model_type: str = "xlm-roberta", *, max_positions: int = 66) -> Path:
    """Write a random RoBERTa or XLM-RoBERTa encoder, whose positions begin after its padding token's number."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    fields = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": max_positions,
        "pad_token_id": 1,
        "type_vocab_size": 1,
    }
    model = {"roberta": RobertaModel, "xlm-roberta": XLMRobertaModel}[model_type]
    model(model.config_class(**fields), add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    japanese = [chr(code) for code in range(0x3041, 0x3097)] + [chr(code) for code in range(0x30A1, 0x30FF)]
    cyrillic = [chr(code) for code in range(0x430, 0x450)]
    characters = [*_LETTERS, *japanese, *cyrillic]
    vocabulary = {token: number for number, token in enumerate(_SPECIALS)}
    for character in characters:
        vocabulary.setdefault(character, len(vocabulary))
        vocabulary.setdefault(f"##{character}", len(vocabulary))
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=256,
    )

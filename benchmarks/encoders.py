"""Networks to measure, ours and the `adapters` library's over one encoder, and real texts to measure them on."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import adapters
import numpy as np
import torch
from adapters.composition import Fuse
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from model_store.encoders.base_encoders import parse_base_encoder
from model_store.encoding.configuration import PairEncoding
from model_store.network.configuration import AdapterConfiguration, FusionConfiguration, HeadConfiguration
from model_store.network.interaction import Route
from model_store.network.relevance_network import RelevanceNetwork
from model_store.product import QueryProductPair
from training.data.sources import DataSource

BOTTLENECK = 32
FUSION = "step-0001"
Size = Literal["mbert", "packaged"]

MARKETPLACE = "market00"


@dataclass(frozen=True, slots=True)
class Subject:
    """An encoder and its tokenizer: `mbert` has mBERT's shape and random weights, `packaged` is e5-small."""

    encoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def hidden_size(self) -> int:
        """Width of the encoder."""
        return int(self.encoder.config.hidden_size)


def subject_of(size: Size, pairs: list[QueryProductPair]) -> Subject:
    """The encoder of this size, in eval mode, and a tokenizer for these pairs."""
    if size == "packaged":
        return Subject(*parse_base_encoder("packaged").load())
    tokenizer = compact_tokenizer(pairs)
    torch.manual_seed(0)
    configuration = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    encoder: PreTrainedModel = BertModel(configuration, add_pooling_layer=False).eval()
    return Subject(encoder, tokenizer)


def market_names(count: int) -> tuple[str, ...]:
    """Names of as many marketplaces."""
    return tuple(f"market{number:02d}" for number in range(count))


def network_of(
    subject: Subject, adapters_count: int, interaction: str = "cross"
) -> tuple[RelevanceNetwork, Route]:
    """Our network with random adapters and a fusion over them (none with one adapter)."""
    network = RelevanceNetwork(
        _sharing_embeddings(subject.encoder),
        PairEncoding(interaction=interaction),
        AdapterConfiguration(bottleneck=BOTTLENECK),
        FusionConfiguration(),
        HeadConfiguration(),
    )
    torch.manual_seed(0)
    names = market_names(adapters_count)
    for name in names:
        network.add_adapter(name)
    network.add_fusion(FUSION)
    network.heads.add("shared")
    for parameter in network.heads.parameters():
        # As it starts, the head gives every pair the same score.
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval(), Route(names, FUSION if adapters_count > 1 else None)


def library_model(subject: Subject, adapters_count: int) -> Any:
    """The library's model with as many adapters of the same kind, fused."""
    model = _sharing_embeddings(subject.encoder)
    adapters.init(model)
    names = market_names(adapters_count)
    for name in names:
        model.add_adapter(name, config=adapters.SeqBnConfig(reduction_factor=subject.hidden_size / BOTTLENECK))
    if adapters_count > 1:
        fuse = Fuse(*names, name=FUSION)
        model.add_adapter_fusion(fuse)
        model.set_active_adapters(fuse)
    else:
        model.set_active_adapters(names[0])
    return model.eval()


def _sharing_embeddings(encoder: PreTrainedModel) -> Any:
    """A copy whose embeddings are the original's: they are the larger part of a multilingual encoder."""
    return copy.deepcopy(encoder, {id(encoder.embeddings): encoder.embeddings})


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """Pairs with labels: 1 where they are relevant (ESCI: judged E or S)."""

    pairs: list[QueryProductPair]
    labels: np.ndarray


def judged_pairs(data: DataSource, marketplace: str | None = None) -> JudgedPairs:
    """Rows of one of the source's marketplaces or of all."""
    asked = [marketplace] if marketplace else data.available()
    rows = [row for found in data.load(asked, seed=0).values() for row in found]
    pairs = [QueryProductPair(MARKETPLACE, row.query, row.product) for row in rows]
    return JudgedPairs(pairs, np.array([row.label for row in rows]))


def sampled_pairs(data: DataSource, count: int) -> list[QueryProductPair]:
    """Pairs drawn with a fixed seed: the realistic mix of lengths."""
    pairs = judged_pairs(data).pairs
    return [pairs[place] for place in np.random.default_rng(0).permutation(len(pairs))[:count]]


def name_of(data: DataSource) -> str:
    """What a result calls its source: `catalogue`, or a file's name without its folders."""
    return Path(data.name).name


def compact_tokenizer(pairs: Sequence[QueryProductPair]) -> PreTrainedTokenizerFast:
    """The packaged encoder's tokenizer with only those pieces that the pairs consist of.

    It cuts these texts exactly as the whole one does (the best segmentation stays the best), and an encoder with
    random weights then needs an embedding of some thousand rows instead of 250,000.
    """
    whole = _packaged_tokenizer()
    texts = [text for pair in pairs for text in (pair.query, pair.product.title)]
    used = {token for ids in whole(texts)["input_ids"] for token in ids} | set(whole.all_special_ids)
    content = json.loads(whole.backend_tokenizer.to_str())
    pieces = content["model"]["vocab"]
    kept = [place for place in range(len(pieces)) if place in used or pieces[place][0] == whole.unk_token]
    numbers = {pieces[place][0]: number for number, place in enumerate(kept)}
    content["model"]["vocab"] = [pieces[place] for place in kept]
    content["model"]["unk_id"] = numbers[whole.unk_token]
    for token in content["added_tokens"]:
        token["id"] = numbers.get(token["content"], token["id"])
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in numbers]
    processor = content["post_processor"]
    for name, special in processor.get("special_tokens", {}).items():
        special["ids"] = [numbers[name]]
    compact = copy.copy(Tokenizer.from_str(json.dumps(content)))
    return PreTrainedTokenizerFast(
        tokenizer_object=compact,
        bos_token=whole.bos_token,
        eos_token=whole.eos_token,
        unk_token=whole.unk_token,
        pad_token=whole.pad_token,
        cls_token=whole.cls_token,
        sep_token=whole.sep_token,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )


def _packaged_tokenizer() -> PreTrainedTokenizerBase:
    return parse_base_encoder("packaged").load()[1]

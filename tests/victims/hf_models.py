"""Tiny Hugging Face classifiers of random weights, written to disk as save_pretrained writes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.utils import logging

LABELS = ("bell", "drum", "flute")
RATE = 16000
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: place for place, label in enumerate(LABELS)},
}
WAVES: dict[str, Any] = SMALL | {
    "conv_dim": (8, 8),
    "conv_stride": (10, 16),
    "conv_kernel": (20, 16),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 8,
}


def ast(**changes: Any) -> tuple[nn.Module, Any]:
    """Half a second of log-mel frames, in patches."""
    sizes = {"num_mel_bins": 32, "max_length": 48}
    config = transformers.ASTConfig(**SMALL, **sizes, patch_size=8, frequency_stride=8, time_stride=8)
    return transformers.ASTForAudioClassification(config), transformers.ASTFeatureExtractor(**sizes, **changes)


def wav2vec2(**changes: Any) -> tuple[nn.Module, Any]:
    """Layer norms, and so an attention mask, as of the large models."""
    config = transformers.Wav2Vec2Config(**WAVES, feat_extract_norm="layer", do_stable_layer_norm=True)
    extractor = transformers.Wav2Vec2FeatureExtractor(**({"return_attention_mask": True} | changes))
    return transformers.Wav2Vec2ForSequenceClassification(config), extractor


def hubert(**changes: Any) -> tuple[nn.Module, Any]:
    """A group norm, and no mask, as of the base models."""
    config = transformers.HubertConfig(**WAVES, feat_extract_norm="group", use_weighted_layer_sum=True)
    extractor = transformers.Wav2Vec2FeatureExtractor(**changes)
    return transformers.HubertForSequenceClassification(config), extractor


def wavlm(**changes: Any) -> tuple[nn.Module, Any]:
    """Attention with a bias by distance; the wave as it is."""
    config = transformers.WavLMConfig(**WAVES, num_buckets=16, max_bucket_distance=40)
    extractor = transformers.Wav2Vec2FeatureExtractor(**({"do_normalize": False} | changes))
    return transformers.WavLMForSequenceClassification(config), extractor


def whisper(**changes: Any) -> tuple[nn.Module, Any]:
    """The encoder of Whisper, on one second."""
    named = {key: SMALL[key] for key in ("id2label", "label2id")}
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes = {"d_model": 16, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "classifier_proj_size": 8, "vocab_size": 64}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1)
    config = transformers.WhisperConfig(**named, **layers, **sizes, **tokens, num_mel_bins=20, max_source_positions=50)
    extractor = transformers.WhisperFeatureExtractor(**({"feature_size": 20, "chunk_length": 1} | changes))
    return transformers.WhisperForAudioClassification(config), extractor


def bert(**changes: Any) -> tuple[nn.Module, Any]:
    """Wav2Vec2-BERT, which hears pairs of normalised log-mel frames."""
    config = transformers.Wav2Vec2BertConfig(
        **SMALL, feature_projection_input_dim=40, classifier_proj_size=8, conv_depthwise_kernel_size=5
    )
    extractor = transformers.SeamlessM4TFeatureExtractor(**({"feature_size": 20, "num_mel_bins": 20} | changes))
    return transformers.Wav2Vec2BertForSequenceClassification(config), extractor


MODELS: dict[str, Callable[..., tuple[nn.Module, Any]]] = {
    "ast": ast,
    "wav2vec2": wav2vec2,
    "hubert": hubert,
    "wavlm": wavlm,
    "whisper": whisper,
    "bert": bert,
}


def save_model(folder: Path, kind: str, *, seed: int = 0, **changes: Any) -> Path:
    """Write a model and its extractor into a folder, the same bytes each time.

    Random weights as the library draws them hardly hear anything; these are larger, so that labels change.
    """
    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of mel bands narrower than a bin
            torch.manual_seed(seed)
            model, extractor = MODELS[kind](**changes)
            for name, weight in model.named_parameters():
                if weight.ndim > 1 and "original0" not in name:
                    nn.init.normal_(weight, std=1.5 * weight[0].numel() ** -0.5)
            model.save_pretrained(folder)
            extractor.save_pretrained(folder)
    finally:
        if bar:
            logging.enable_progress_bar()
    return folder


def write_card(folder: Path, **values: Any) -> Path:
    """Write a card into a folder, of a model in the folder ``model`` beside it unless another is named."""
    keys = {"schema": 1, "kind": "transformers", "sample_rate": RATE, "model": "model"} | values
    lines = []
    for key, value in keys.items():
        told = "[" + ", ".join(f'"{each}"' for each in value) + "]" if isinstance(value, list | tuple) else value
        lines.append(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {told}")
    (folder / "card.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "card.toml"

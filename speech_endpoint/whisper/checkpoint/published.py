"""What a checkpoint's JSON files say of the network, of the rules of decoding and of the audio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from speech_endpoint.whisper.checkpoint.files import UnusableCheckpoint, parse, read_json
from speech_endpoint.whisper.model.features import AUDIO_FRAMES, WINDOW_S

MAX_INITIAL_TIMESTAMP = 50
"""openai/whisper's: a window's first word begins within its first second."""
Size = Annotated[int, Field(ge=1)]
TokenId = Annotated[int, Field(ge=0)]


class Sizes(BaseModel):
    """config.json: the sizes of the network, by transformers' names."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    vocab_size: Size
    d_model: Size
    encoder_layers: Size
    encoder_attention_heads: Size
    decoder_layers: Size
    decoder_attention_heads: Size
    encoder_ffn_dim: Size
    decoder_ffn_dim: Size
    num_mel_bins: Size = 80
    max_source_positions: Size = AUDIO_FRAMES
    # Half of them are left for a prompt.
    max_target_positions: Annotated[int, Field(ge=448)] = 448
    activation_function: Literal["gelu"] = "gelu"


class TokenRules(BaseModel):
    """generation_config.json, by transformers' names; None: not said."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    suppress_tokens: list[int] | None = None
    begin_suppress_tokens: list[int] | None = None
    alignment_heads: list[tuple[TokenId, TokenId]] | None = None
    lang_to_id: dict[str, TokenId] | None = None
    task_to_id: dict[str, TokenId] | None = None
    is_multilingual: bool | None = None
    no_timestamps_token_id: TokenId | None = None
    max_initial_timestamp_index: Annotated[int, Field(ge=0, le=AUDIO_FRAMES)] | None = (
        MAX_INITIAL_TIMESTAMP
    )


class Extractor(BaseModel):
    """preprocessor_config.json: what the network takes for its audio."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sampling_rate: Literal[16_000] = 16_000
    n_fft: Literal[400] = 400
    hop_length: Literal[160] = 160
    chunk_length: Literal[30] = 30


def read_sizes(directory: Path) -> Sizes:
    """The sizes of the network.

    Raises:
        UnusableCheckpoint: there are none, or this is no Whisper, or one for other windows.
    """
    adapter = read_json(directory / "adapter_config.json")
    config = read_json(directory / "config.json")
    if not config and adapter:
        raise UnusableCheckpoint(
            "adapter_config.json: this is an adapter without its base model"
            f" {str(adapter.get('base_model_name_or_path'))[:80]!r}; merge the two"
            " (peft's merge_and_unload) and save the result"
        )
    if not config:
        raise UnusableCheckpoint(
            "config.json is missing; give a Whisper as transformers' save_pretrained writes it"
        )
    kind = config.get("model_type")
    if kind != "whisper":
        raise UnusableCheckpoint(
            f"config.json says model_type {str(kind)[:40]!r}; only a Whisper can be served"
        )
    if config.get("quantization_config"):
        raise UnusableCheckpoint(
            "config.json has a quantization_config; save the model in float16 instead, QUANTIZATION"
            " makes it smaller here"
        )
    sizes = parse(config, Sizes, "config.json")
    _check_sizes(sizes)
    return sizes


def _check_sizes(sizes: Sizes) -> None:
    if sizes.max_source_positions != AUDIO_FRAMES:
        raise UnusableCheckpoint(
            f"config.json has max_source_positions {sizes.max_source_positions}; only models for"
            f" windows of {WINDOW_S} s, {AUDIO_FRAMES} positions, can be served"
        )
    for heads in (sizes.encoder_attention_heads, sizes.decoder_attention_heads):
        if sizes.d_model % heads:
            raise UnusableCheckpoint(
                f"config.json has {heads} attention heads, which do not divide d_model"
                f" {sizes.d_model}; copy the file from the base model"
            )


def read_token_rules(directory: Path) -> TokenRules:
    """The rules of decoding; what generation_config.json lacks may stand in an old config.json."""
    names = set(TokenRules.model_fields)
    old = {
        name: value
        for name, value in read_json(directory / "config.json").items()
        if name in names and value is not None
    }
    return parse(
        old | read_json(directory / "generation_config.json"), TokenRules, "generation_config.json"
    )


def check_extractor(directory: Path) -> None:
    """Raise UnusableCheckpoint if the network takes other audio than Whisper does.

    The number of mel bins is that of config.json, which the weights are checked against: copies of
    another model's preprocessor_config.json are common.
    """
    name = "preprocessor_config.json"
    content: Any = read_json(directory / name)
    if not content:
        name = "processor_config.json"
        content = read_json(directory / name).get("feature_extractor") or {}
    parse(content, Extractor, name)

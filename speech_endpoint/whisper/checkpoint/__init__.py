"""Reading a Whisper checkpoint: weights, sizes, token rules; from a directory or the Hub.

Only files that can hold no code are read, and by nothing that would run code beside them. Whatever
is wrong is found here, before anything is built, and said with the file and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.hub import display_name, model_directory
from speech_endpoint.whisper.checkpoint.files import (
    UnusableCheckpoint,
    files_to_download,
    small_files,
)
from speech_endpoint.whisper.checkpoint.published import (
    Sizes,
    TokenRules,
    check_extractor,
    read_sizes,
    read_token_rules,
)
from speech_endpoint.whisper.checkpoint.vocabulary import Vocabulary, read_vocabulary
from speech_endpoint.whisper.checkpoint.weights import read_weights


@dataclass(frozen=True)
class Checkpoint:
    """A Whisper as its authors published it."""

    name: str
    config: Sizes
    token_rules: TokenRules
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]
    """By transformers' names; on the CPU, in the number format of the file."""


def load_checkpoint(
    model: str,
    token: str | None = None,
    setting: str = "ASR_MODEL",
    *,
    weightless: bool = False,
) -> Checkpoint:
    """Load `model`, a directory or a Hub name.

    Args:
        model: a directory or a Hub name.
        token: for gated models; appears in no message.
        setting: the variable that names the model, for errors.
        weightless: read, and download, everything but the weights.

    Raises:
        ModelUnavailable: it cannot be found or read.
    """
    choose = small_files if weightless else files_to_download
    directory = model_directory(model, setting, choose, token)
    try:
        sizes = read_sizes(directory)
        check_extractor(directory)
        return Checkpoint(
            name=display_name(model),
            config=sizes,
            token_rules=read_token_rules(directory),
            vocabulary=read_vocabulary(directory, sizes.vocab_size),
            weights={} if weightless else read_weights(directory, sizes),
        )
    except UnusableCheckpoint as error:
        raise ModelUnavailable(f"{setting} {display_name(model)!r}: {error}") from None
    except OSError as error:
        file = getattr(error, "filename", None)
        what = "a file" if file is None else str(file).rsplit("/", 1)[-1]
        raise ModelUnavailable(
            f"{setting} {display_name(model)!r}: {what} cannot be read ({error.strerror}); check"
            " its permissions"
        ) from None

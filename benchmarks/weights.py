"""The encoder that everybody runs, as an ordinary Hugging Face folder in float32."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

# A part of the folder's name: raise it when random_weights changes.
_RANDOM = "random-multilingual-cased-1"
# At BERT's own scale, random layers attend to every token alike, and the first tokens' vectors of different
# texts have a cosine of 0.997: a check by cosine would see nothing. With these it is about 0.8.
_SHARPER_ATTENTION = 4.0
_LOUDER_ATTENTION = 3.0


def encoder_folder(encoder: str | None, cache: Path) -> Path:
    """Make or find the folder; to be called in a process of its own, for it needs torch.

    Args:
        encoder: A named encoder or a folder; None is BERT-Base, Multilingual Cased with random weights.
        cache: Where the folder and all that is made of it stays.

    Returns:
        The folder `encoder`; its parent is for what engines convert it to.
    """
    name = _RANDOM if encoder is None else _name_of(encoder)
    folder = cache / name / "encoder"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            made = Path(work) / "encoder"
            if encoder is None:
                _write_random(made)
            else:
                _write_encoder(encoder, made)
            made.rename(folder)
    return folder


def _name_of(encoder: str) -> str:
    """A name that changes with the weights' files."""
    from bertblocks.checkpoints import resolve_encoder

    folder = resolve_encoder(encoder)
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(folder).iterdir() if path.is_file()):
        digest.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return f"{Path(encoder).name}-{digest.hexdigest()[:12]}"


def _write_encoder(encoder: str, folder: Path) -> None:
    from peers import hugging_face_folder

    hugging_face_folder(encoder, folder)


def _write_random(folder: Path) -> None:
    import torch

    from bertblocks.checkpoints import write_checkpoint
    from bertblocks.encoder import BertEncoder, EncoderConfig, initialize
    from bertblocks.text import load_tokenizer

    torch.manual_seed(0)
    config = EncoderConfig()
    encoder = BertEncoder(config)
    initialize(encoder, standard_deviation=config.initializer_range)
    with torch.no_grad():
        for layer in encoder.layers:
            query_and_key, value = layer.attention.qkv.weight.split(
                [2 * config.hidden_size, config.hidden_size]
            )
            query_and_key.mul_(_SHARPER_ATTENTION)
            value.mul_(_LOUDER_ATTENTION)
            layer.attention.output.weight.mul_(_LOUDER_ATTENTION)
    folder.mkdir()
    write_checkpoint(folder, config=config, encoder=encoder.state_dict(), pooler=None)
    load_tokenizer("multilingual-cased").save(folder)

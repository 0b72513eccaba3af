"""Texts → token ids. Imports no torch."""

from bertblocks.text.loading import TOKENIZER_NAMES, load_encoder_tokenizer, load_tokenizer
from bertblocks.text.located import LocatedText, Word, locate
from bertblocks.text.tokenizer import Encoded, Tokenizer
from bertblocks.text.vocabulary import (
    SHIPPED,
    Casing,
    Role,
    ShippedName,
    Vocabulary,
    read_vocabulary,
    shipped_vocabulary,
)
from bertblocks.text.word_spans import NO_WORD

__all__ = [
    "NO_WORD",
    "SHIPPED",
    "TOKENIZER_NAMES",
    "Casing",
    "Encoded",
    "LocatedText",
    "Role",
    "ShippedName",
    "Tokenizer",
    "Vocabulary",
    "Word",
    "load_encoder_tokenizer",
    "load_tokenizer",
    "locate",
    "read_vocabulary",
    "shipped_vocabulary",
]

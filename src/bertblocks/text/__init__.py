"""Texts → token ids. Imports no torch."""

from bertblocks.text.loading import TOKENIZER_NAMES, load_encoder_tokenizer, load_tokenizer
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

__all__ = [
    "SHIPPED",
    "TOKENIZER_NAMES",
    "Casing",
    "Encoded",
    "Role",
    "ShippedName",
    "Tokenizer",
    "Vocabulary",
    "load_encoder_tokenizer",
    "load_tokenizer",
    "read_vocabulary",
    "shipped_vocabulary",
]

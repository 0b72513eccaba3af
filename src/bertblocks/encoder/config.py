"""The numbers that shape a BERT encoder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from bertblocks.errors import ConfigError

Activation = Literal["gelu", "gelu_tanh", "relu"]
Family = Literal["bert", "roberta", "xlm-roberta", "camembert"]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes and constants of one encoder; the defaults are BERT-Base, Multilingual Cased.

    RoBERTa's family (RoBERTa, XLM-RoBERTa, CamemBERT) has BERT's layers; its first position is row 2 of the
    position table, and it knows one segment.

    Attributes:
        vocab_size: Rows of the word embedding; ids are 0 … vocab_size - 1.
        hidden_size: Width D of a token's vector; a multiple of num_attention_heads.
        num_hidden_layers: Transformer layers.
        num_attention_heads: Heads N; each is hidden_size / N wide.
        intermediate_size: Feed-forward width F.
        max_position_embeddings: Rows of the position table.
        type_vocab_size: Segments: 2 in BERT (first and second text of a pair).
        layer_norm_eps: 1e-12 in BERT; it is not in Google's bert_config.json.
        activation: "gelu" is the erf form, "gelu_tanh" the approximation (docs/numerics.md, 1).
        hidden_dropout: Probability of zeroing an element of a layer's output while training.
        attention_dropout: Probability of zeroing an attention weight while training.
        initializer_range: Standard deviation of the truncated normal that new weights are drawn from.
        family: Whose names and classes the weights have elsewhere.
        position_offset: Rows of the position table before that of the first token: 0 in BERT; in RoBERTa's
            family one more than the padding token's id, which is 2.

    Raises:
        ConfigError: If numbers are out of range or do not fit together; all problems at once.
    """

    vocab_size: int = 119_547
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    activation: Activation = "gelu"
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    family: Family = "bert"
    position_offset: int = 0

    @property
    def max_sequence_length(self) -> int:
        """The longest sequence that the position table has rows for, in tokens."""
        return self.max_position_embeddings - self.position_offset

    def __post_init__(self) -> None:
        problems = [
            f"{field.name} is {getattr(self, field.name)}, but must be at least 1"
            for field in fields(self)
            if field.type == "int" and field.name != "position_offset" and getattr(self, field.name) < 1
        ]
        if not 0 <= self.position_offset < max(1, self.max_position_embeddings):
            problems.append(
                f"position_offset is {self.position_offset}, but must leave rows of the position table's "
                f"{self.max_position_embeddings}"
            )
        if self.family not in get_args(Family):
            problems.append(f"family is {self.family!r}, but must be one of {', '.join(get_args(Family))}")
        if not problems and self.hidden_size % self.num_attention_heads:
            problems.append(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.activation not in get_args(Activation):
            problems.append(
                f"activation is {self.activation!r}, but must be one of {', '.join(get_args(Activation))}"
            )
        for name in ("hidden_dropout", "attention_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                problems.append(f"{name} is {getattr(self, name)}, but must lie in [0, 1)")
        if problems:
            raise ConfigError("The encoder cannot have this shape: " + "; ".join(problems) + ".")

"""The blocks: declarations of what a model consists of. Nothing here computes.

Each block says which kinds of port it accepts (`accepts`) and which kind it gives (`gives`):

    TextInput ─TEXT→ BertTokenizer ─TOKENS→ encoder ─VECTOR→ BertPooler, Dropout, Dense ─VECTOR→ Target
                     TokenIdsInput ─TOKENS↗   └─SEQUENCE→ Global…Pooling1D ─VECTOR↗
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import ClassVar, Literal

from bertblocks.blocks.task import TaskKind


class Port(Enum):
    """What flows from one block into the next."""

    TEXT = "text"
    TOKENS = "tokens"
    SEQUENCE = "a sequence of vectors"
    VECTOR = "a vector"
    PREDICTION = "a prediction"


Activation = Literal["linear", "relu", "tanh", "gelu", "sigmoid", "softmax"]
Output = Literal["cls", "sequence"]
Windowing = Literal["truncate", "slide"]
WindowPooling = Literal["average", "max"]

NAMED_WEIGHTS = ("multilingual-cased", "english-uncased", "mini")
"""Names that are both weights and the vocabulary that they were trained on."""

NAMED_VOCABULARY_SIZES = {"multilingual-cased": 119_547, "english-uncased": 30_522, "mini": 160_000}

MIN_SEQUENCE_LENGTH = 3
MAX_SEQUENCE_LENGTH = 512  # the rows of BERT's position table
MAX_LAYERS = 1000
MAX_SIZE = 2**31 - 1
"""The largest width, vocabulary or number of units: what a 32-bit number holds."""


@dataclass(frozen=True)
class TextInput:
    """A column of texts. Two of them at the head of a graph make a pair."""

    column: str
    accepts: ClassVar[frozenset[Port]] = frozenset()
    gives: ClassVar[Port] = Port.TEXT


@dataclass(frozen=True)
class TokenIdsInput:
    """A column of integer lists, 3 to 512 long, each integer in [0, the encoder's vocabulary size)."""

    column: str
    accepts: ClassVar[frozenset[Port]] = frozenset()
    gives: ClassVar[Port] = Port.TOKENS


@dataclass(frozen=True, kw_only=True)
class BertTokenizer:
    """Text → token ids with [CLS] and [SEP].

    Attributes:
        vocabulary: "multilingual-cased", "english-uncased", "mini", or a folder with a tokenizer.
        sequence_length: Most tokens of a text, special tokens counted, 3 to 512. It is a limit, not a shape:
            shorter texts cost what they are.
        windows: What becomes of a longer text: "truncate" cuts it, "slide" reads all of it in overlapping
            windows of sequence_length tokens, whose pooled vectors become one. Pairs are always cut.
        stride: With "slide", tokens from the beginning of one window to that of the next; None is three
            quarters of a window's room for text.
        window_pooling: With "slide", how the vectors of a text's windows become one.
    """

    vocabulary: str = "multilingual-cased"
    sequence_length: int = MAX_SEQUENCE_LENGTH
    windows: Windowing = "truncate"
    stride: int | None = None
    window_pooling: WindowPooling = "average"
    accepts: ClassVar[frozenset[Port]] = frozenset({Port.TEXT})
    gives: ClassVar[Port] = Port.TOKENS


@dataclass(frozen=True, kw_only=True)
class _Encoder:
    """What every encoder block has.

    Attributes:
        output: "cls" is the raw first token's vector; "sequence" may only feed a global pooling block.
        trainable: False keeps its weights as they are; its vectors are then computed once.
    """

    output: Output = "cls"
    trainable: bool = True
    accepts: ClassVar[frozenset[Port]] = frozenset({Port.TOKENS})

    @property
    def gives(self) -> Port:
        """A vector, or a sequence of them."""
        return Port.SEQUENCE if self.output == "sequence" else Port.VECTOR


@dataclass(frozen=True, kw_only=True)
class MultilingualBertEncoder(_Encoder):
    """BERT-Base, Multilingual Cased: 12 layers, 12 heads, 768 wide, 177,853,440 parameters with its pooler.

    Attributes:
        weights: "multilingual-cased", "mini", or a folder with a multilingual encoder.
    """

    weights: str = "multilingual-cased"


@dataclass(frozen=True, kw_only=True)
class EnglishBertEncoder(_Encoder):
    """BERT-Base, Uncased: 12 layers, 12 heads, 768 wide, 109,482,240 parameters with its pooler.

    Attributes:
        weights: "english-uncased", or a folder with an English encoder.
    """

    weights: str = "english-uncased"


@dataclass(frozen=True, kw_only=True)
class PretrainedBertEncoder(_Encoder):
    """Any other pretrained encoder of BERT's architecture, in any language.

    Attributes:
        weights: A named encoder, `org/name` on the hub, or a folder.
    """

    weights: str


@dataclass(frozen=True, kw_only=True)
class BertEncoder(_Encoder):
    """A BERT encoder with random weights, for any token-like data; needs much data and long training.

    Attributes:
        vocabulary_size: How many ids there are: they run from 0 to vocabulary_size - 1, so that data whose
            largest id is V needs a vocabulary_size of V + 1.
        num_layers: Transformer layers.
        num_heads: Attention heads; hidden_size is a multiple of them.
        hidden_size: Width of a token's vector.
        intermediate_size: Feed-forward width.
    """

    vocabulary_size: int
    num_layers: int = 12
    num_heads: int = 12
    hidden_size: int = 768
    intermediate_size: int = 3072


@dataclass(frozen=True)
class GlobalAveragePooling1D:
    """The mean of a sequence's vectors, over true tokens only."""

    accepts: ClassVar[frozenset[Port]] = frozenset({Port.SEQUENCE})
    gives: ClassVar[Port] = Port.VECTOR


@dataclass(frozen=True)
class GlobalMaxPooling1D:
    """The largest value in each dimension of a sequence's vectors, over true tokens only."""

    accepts: ClassVar[frozenset[Port]] = frozenset({Port.SEQUENCE})
    gives: ClassVar[Port] = Port.VECTOR


@dataclass(frozen=True)
class BertPooler:
    """BERT's own pooler: dense with tanh, as wide as its input; new where the weights bring none.

    Attributes:
        trainable: False keeps its weights as they are.
    """

    _: KW_ONLY
    trainable: bool = True
    accepts: ClassVar[frozenset[Port]] = frozenset({Port.VECTOR})
    gives: ClassVar[Port] = Port.VECTOR


@dataclass(frozen=True)
class Dense:
    """A dense layer. As the last one it has one unit a class (or one for a number).

    Softmax, sigmoid or linear on the last dense layer names what turns logits into the prediction; the layer
    itself gives logits.

    Attributes:
        units: Numbers that it gives, at least 1.
        activation: Softmax only in the last dense layer.
        trainable: False keeps its weights as they were drawn.
    """

    units: int
    _: KW_ONLY
    activation: Activation = "linear"
    trainable: bool = True
    accepts: ClassVar[frozenset[Port]] = frozenset({Port.VECTOR})
    gives: ClassVar[Port] = Port.VECTOR


@dataclass(frozen=True)
class Dropout:
    """Zeroes a share of the values while training.

    Attributes:
        rate: That share, from 0 to below 1.
    """

    rate: float = 0.1
    accepts: ClassVar[frozenset[Port]] = frozenset({Port.VECTOR})
    gives: ClassVar[Port] = Port.VECTOR


@dataclass(frozen=True)
class Target:
    """The column to predict."""

    column: str
    _: KW_ONLY
    task: TaskKind = "classification"
    accepts: ClassVar[frozenset[Port]] = frozenset({Port.VECTOR})
    gives: ClassVar[Port] = Port.PREDICTION


EncoderBlock = MultilingualBertEncoder | EnglishBertEncoder | PretrainedBertEncoder | BertEncoder
PoolingBlock = GlobalAveragePooling1D | GlobalMaxPooling1D
HeadBlock = BertPooler | Dense | Dropout
Block = TextInput | TokenIdsInput | BertTokenizer | EncoderBlock | PoolingBlock | HeadBlock | Target

ENCODER_BLOCKS: tuple[type[EncoderBlock], ...] = (
    MultilingualBertEncoder,
    EnglishBertEncoder,
    PretrainedBertEncoder,
    BertEncoder,
)
ALL_BLOCKS: tuple[type[Block], ...] = (
    TextInput,
    TokenIdsInput,
    BertTokenizer,
    *ENCODER_BLOCKS,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    BertPooler,
    Dense,
    Dropout,
    Target,
)


def block_names(blocks: Sequence[Block]) -> list[str]:
    """One name a block: its class, numbered where there are several (Dense, Dense_2)."""
    seen: dict[str, int] = {}
    names = []
    for block in blocks:
        kind = type(block).__name__
        seen[kind] = seen.get(kind, 0) + 1
        names.append(kind if seen[kind] == 1 else f"{kind}_{seen[kind]}")
    return names

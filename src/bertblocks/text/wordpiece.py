"""WordPiece exactly as Google tokenizes, at the speed of the Rust library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer

from bertblocks.text.basic_tokenization import library_agrees, split_words
from bertblocks.text.library import encode_texts
from bertblocks.text.template import Template, bert_template
from bertblocks.text.vocabulary import SPECIAL_TOKENS, Casing, Role, Vocabulary

CONTINUATION = "##"
# Google's limit for a word, in characters; the library's own default is 100. See docs/numerics.md,
# "Tokenization".
MAX_CHARACTERS_PER_WORD = 200
# The library takes no lone surrogates. To Google's code they are characters that no vocabulary has: so is
# this one, which Unicode promises never to assign.
_SURROGATES = re.compile("[\ud800-\udfff]")
_IN_NO_WORD = "\U0010ffff"


class WordPieceModel:
    """Texts to ids with a WordPiece vocabulary.

    Ordinary texts go through the library's BERT normalizer and pre-tokenizer; texts with a character that
    these treat unlike Google are split by `split_words`. Both go through the same WordPiece model. Neither
    knows special tokens, so that a text cannot contain one.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        model = models.WordPiece(
            vocab=dict(vocabulary.ids),
            unk_token=SPECIAL_TOKENS["unk"],
            max_input_chars_per_word=MAX_CHARACTERS_PER_WORD,
            continuing_subword_prefix=CONTINUATION,
        )
        self._library = RustTokenizer(model)
        self._library.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=True,
            strip_accents=None,
            lowercase=vocabulary.casing == "uncased",
        )
        self._library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._words = RustTokenizer(model)
        self._words.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")

    def __reduce__(self) -> tuple[type[WordPieceModel], tuple[Vocabulary]]:
        return WordPieceModel, (self.vocabulary,)

    @property
    def casing(self) -> Casing:
        """That of the vocabulary."""
        return self.vocabulary.casing

    @property
    def vocabulary_size(self) -> int:
        """Ids are 0 to this less 1."""
        return len(self.vocabulary)

    @property
    def special_tokens(self) -> Mapping[Role, int]:
        """The special tokens' ids by role."""
        return self.vocabulary.special_tokens

    @property
    def template(self) -> Template:
        """BERT's."""
        return bert_template(cls=self.special_tokens["cls"], sep=self.special_tokens["sep"])

    def token(self, index: int) -> str:
        """The token of an id."""
        return self.vocabulary.tokens[index]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, uncut and without special tokens."""
        exact = [row for row, text in enumerate(texts) if not library_agrees(text, self.casing)]
        if not exact:
            return encode_texts(self._library, texts)
        ordinary = list(texts)
        for row in exact:
            ordinary[row] = ""
        ids = encode_texts(self._library, ordinary)
        words = [_SURROGATES.sub(_IN_NO_WORD, split_words(texts[row], self.casing)) for row in exact]
        for row, row_ids in zip(exact, encode_texts(self._words, words), strict=True):
            ids[row] = row_ids
        return ids

    def definition(self) -> str:
        """The `tokenizer.json` that comes nearest; docs/numerics.md lists where it differs."""
        special = {role: AddedToken(SPECIAL_TOKENS[role], special=True) for role in self.special_tokens}
        cls, sep = SPECIAL_TOKENS["cls"], SPECIAL_TOKENS["sep"]
        library = RustTokenizer(self._library.model)
        library.normalizer = self._library.normalizer
        library.pre_tokenizer = self._library.pre_tokenizer
        library.decoder = decoders.WordPiece(prefix=CONTINUATION)
        library.post_processor = processors.TemplateProcessing(
            single=f"{cls} $A {sep}",
            pair=f"{cls} $A {sep} $B:1 {sep}:1",
            special_tokens=[(cls, self.special_tokens["cls"]), (sep, self.special_tokens["sep"])],
        )
        library.add_special_tokens(list(special.values()))
        return library.to_str(pretty=True) + "\n"

    def files(self) -> dict[str, bytes]:
        """What a saved folder holds besides the tokenizer configuration."""
        return {"tokenizer.json": self.definition().encode(), "vocab.txt": self.vocabulary.content}

    def configuration(self) -> dict[str, object]:
        """What the saved tokenizer configuration says of this model."""
        named = {f"{role}_token": SPECIAL_TOKENS[role] for role in self.special_tokens}
        return {"do_lower_case": self.casing == "uncased", **named}

"""WordPiece exactly as Google tokenizes, at the speed of the Rust library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import cast

from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer

from bertblocks.text.basic_tokenization import library_agrees, placed_words, split_words
from bertblocks.text.library import encode_texts
from bertblocks.text.longest_match import MAX_CHARACTERS_PER_WORD, LongestMatch, Piece, has_long_word
from bertblocks.text.template import Template, bert_template
from bertblocks.text.token_spans import TokenSpan
from bertblocks.text.vocabulary import CONTINUATION, SPECIAL_TOKENS, Casing, Role, Vocabulary


class WordPieceModel:
    """Texts to ids with a WordPiece vocabulary.

    Ordinary texts go through the library's BERT normalizer, pre-tokenizer and WordPiece. Texts with a
    character that these treat unlike Google, or with a word for which they take long, are split by
    `split_words`, and the words cut by `LongestMatch`. Neither way knows special tokens, so that a text
    cannot contain one.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        model = models.WordPiece(
            vocab=vocabulary.ids(),
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
        """The token of an id from 0 to vocabulary_size less 1."""
        return cast(str, self._library.id_to_token(index))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, uncut and without special tokens."""
        exact = [row for row, text in enumerate(texts) if not self._is_ordinary(text)]
        if not exact:
            return encode_texts(self._library, texts)
        ordinary = list(texts)
        for row in exact:
            ordinary[row] = ""
        ids = encode_texts(self._library, ordinary)
        for row in exact:
            words = split_words(texts[row], self.casing).split()
            ids[row] = [index for word in words for index in self._pieces.encode(word)]
        return ids

    def locate(self, text: str) -> list[TokenSpan]:
        """Where the tokens that encode gives lie in a text."""
        cut = self._cut_by_library if self._is_ordinary(text) else self._pieces.cut
        spans = []
        for word in placed_words(text, self.casing):
            start = 0
            for piece in cut(word.characters):
                spans.append(TokenSpan(piece.token_id, word.places[start][0], word.places[piece.end - 1][1]))
                start = piece.end
        return spans

    def _cut_by_library(self, word: str) -> Sequence[Piece]:
        """The pieces of a word; the library's own places count bytes."""
        pieces, end = [], 0
        for token in self._library.model.tokenize(word):
            if token.id == self.special_tokens["unk"]:
                return [Piece(token.id, len(word))]
            end += len(token.value) - (len(CONTINUATION) if end else 0)
            pieces.append(Piece(token.id, end))
        return pieces

    def _is_ordinary(self, text: str) -> bool:
        return library_agrees(text, self.casing) and not has_long_word(text)

    @cached_property
    def _pieces(self) -> LongestMatch:
        """Made when the first text needs it, as it takes up to 0.2 s."""
        return LongestMatch(self.vocabulary.ids(), self.special_tokens["unk"])

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

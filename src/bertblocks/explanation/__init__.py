"""A prediction → the words that made it; and what the encoder does with a sentence, to be looked at."""

from bertblocks.explanation.attention_reading import EncoderReading, LayerReading, read_encoder
from bertblocks.explanation.explainer import Explainer
from bertblocks.explanation.explanations import Baseline, ExplainedWord, Explanation, Method, weight_of
from bertblocks.explanation.sentence_page import MOST_TOKENS, attention_page
from bertblocks.explanation.sentences import agreement_sentence, notes, residue_sentence, what_is_explained
from bertblocks.explanation.words_page import explanations_page

__all__ = [
    "MOST_TOKENS",
    "Baseline",
    "EncoderReading",
    "ExplainedWord",
    "Explainer",
    "Explanation",
    "LayerReading",
    "Method",
    "agreement_sentence",
    "attention_page",
    "explanations_page",
    "notes",
    "read_encoder",
    "residue_sentence",
    "weight_of",
    "what_is_explained",
]

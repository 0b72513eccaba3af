from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from bertblocks.checkpoints.storage import read_shapes, read_tensors
from bertblocks.mini import folder

FILES = {
    "1_Pooling/config.json",
    "LICENSE.txt",
    "__init__.py",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}
SHA256 = {
    "model.safetensors": "7aaf70f776568c2f3fad7399f16d7562e6a8d3c0c5cb86aa617039d5592f31c5",
    "tokenizer.json": "efd1e5fb3e27bbdd2deeb6c8089aa9db7f7a531a880c2cd1feb0120e4e6f0772",
}
SENTENCES = {
    "am": "ሁሉም ሰው ነጻና እኩል ሆኖ ተወልዷል።",
    "ar": "يولد جميع الناس أحرارا ومتساوين في الكرامة والحقوق.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια.",
    "en": "All human beings are born free and equal in dignity and rights.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
    "hy": "Բոլոր մարդիկ ծնվում են ազատ ու հավասար։",
    "ja": "すべての人間は、生まれながらにして自由である。",
    "ka": "ყველა ადამიანი იბადება თავისუფალი და თანასწორი.",
    "km": "មនុស្សទាំងអស់កើតមកមានសេរីភាព។",
    "ko": "모든 인간은 태어날 때부터 자유로우며 동등하다.",
    "my": "လူတိုင်းသည် တူညီလွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် မွေးဖွားလာသူများ ဖြစ်သည်။",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "ta": "மனிதர் அனைவரும் சுதந்திரமாகவே பிறக்கின்றனர்.",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng.",
    "zh": "人人生而自由,在尊严和权利上一律平等。",
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(folder() / "tokenizer.json"))


def expected_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (160_000, 384),
        "embeddings.position_embeddings.weight": (512, 384),
        "embeddings.token_type_embeddings.weight": (2, 384),
        "embeddings.LayerNorm.weight": (384,),
        "embeddings.LayerNorm.bias": (384,),
    }
    linear = {
        "attention.self.query": (384, 384),
        "attention.self.key": (384, 384),
        "attention.self.value": (384, 384),
        "attention.output.dense": (384, 384),
        "intermediate.dense": (1536, 384),
        "output.dense": (384, 1536),
    }
    for layer in range(12):
        for name, shape in linear.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (384,)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (384,)
    return shapes


def test_the_folder_holds_what_it_should_and_is_small() -> None:
    found = [path for path in folder().rglob("*") if path.is_file()]

    assert {path.relative_to(folder()).as_posix() for path in found} >= FILES
    assert sum(path.stat().st_size for path in found) < 55_000_000


@pytest.mark.parametrize("name", SHA256)
def test_the_large_files_are_those_that_the_script_writes(name: str) -> None:
    assert hashlib.sha256((folder() / name).read_bytes()).hexdigest() == SHA256[name]


def test_the_licence_comes_along() -> None:
    text = (folder() / "LICENSE.txt").read_text(encoding="utf-8")

    assert "Copyright (c) Microsoft Corporation" in text
    assert "Permission is hereby granted, free of charge" in text


def test_config_describes_the_tensors() -> None:
    config = BertConfig.from_pretrained(folder())

    assert config.hidden_act == "gelu"
    assert config.layer_norm_eps == 1e-12
    assert config.pad_token_id == 1
    assert (config.num_hidden_layers, config.num_attention_heads) == (12, 12)
    assert (config.vocab_size, config.hidden_size, config.intermediate_size) == (160_000, 384, 1536)
    assert read_shapes(folder() / "model.safetensors") == expected_shapes()


def test_specials_keep_their_ids(tokenizer: Tokenizer) -> None:
    assert [tokenizer.id_to_token(i) for i in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert tokenizer.token_to_id("<mask>") == 159_999
    assert tokenizer.get_vocab_size() == 160_000


@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_survive(tokenizer: Tokenizer, language: str) -> None:
    text = SENTENCES[language]

    encoding = tokenizer.encode(text)

    assert tokenizer.decode(encoding.ids) == unicodedata.normalize("NFKC", text)
    assert 3 not in encoding.ids


def test_pieces_are_longer_than_letters(tokenizer: Tokenizer) -> None:
    num_pieces = sum(len(encoding.ids) - 2 for encoding in tokenizer.encode_batch(list(SENTENCES.values())))

    assert num_pieces < 0.4 * sum(map(len, SENTENCES.values()))


def test_ids_of_a_sentence(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode("Hello world")

    assert encoding.tokens == ["<s>", "▁Hello", "▁world", "</s>"]
    assert encoding.ids == [0, 32642, 8724, 2]


def test_a_pair(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode("Hello", "world")

    assert encoding.tokens == ["<s>", "▁Hello", "</s>", "</s>", "▁world", "</s>"]
    assert encoding.type_ids == [0] * 6


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("  Hello \t\r\n world ", "Hello world"),
        ("Hello\u3000world", "Hello world"),
        ("Hello\u200bworld\ufeff", "Hello world"),
        ("He\x01llo\x7f", "Hello"),
        ("Ｈｅｌｌｏ", "Hello"),
        ("cafe\u0301 ﬁn", "café fin"),
        ("▁Hello", "Hello"),
    ],
)
def test_normalization(tokenizer: Tokenizer, text: str, same: str) -> None:
    assert tokenizer.encode(text).ids == tokenizer.encode(same).ids


@pytest.mark.parametrize("text", ["", " ", "\n\u200b"])
def test_nothing_but_white_space(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.encode(text).ids == [0, 2]


def test_unknown_characters_are_one_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("ཁག").ids == [0, tokenizer.token_to_id("▁"), 3, 2]


def test_special_tokens_in_a_text_can_be_text() -> None:
    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.encode_special_tokens = True

    ids = tokenizer.encode("a<s>b</s> <pad> <unk><mask>", add_special_tokens=False).ids

    assert not set(ids) & {0, 1, 2, 3, 159_999}


def test_transformers_reads_the_same_tokens(tokenizer: Tokenizer) -> None:
    theirs = AutoTokenizer.from_pretrained(folder())
    texts = list(SENTENCES.values())

    assert theirs(texts)["input_ids"] == [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    assert theirs(texts, texts[::-1])["input_ids"] == [
        encoding.ids for encoding in tokenizer.encode_batch(list(zip(texts, texts[::-1], strict=True)))
    ]
    assert theirs.model_max_length == 512
    assert (theirs.pad_token_id, theirs.mask_token_id, len(theirs)) == (1, 159_999, 160_000)


def test_transformers_refuses_the_compact_weights_rather_than_draw_them_at_random() -> None:
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        AutoModel.from_pretrained(folder())


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Steps as short as these spend their time waiting for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_translations_lie_close_together(tokenizer: Tokenizer) -> None:
    texts = [
        "The train to the capital leaves at seven in the morning.",
        "My sister bakes bread with rye flour.",
        "The central bank raised interest rates again.",
        "Der Zug in die Hauptstadt fährt um sieben Uhr morgens ab.",
        "Meine Schwester backt Brot aus Roggenmehl.",
        "Die Zentralbank hat die Zinsen erneut erhöht.",
        "开往首都的火车早上七点出发。",
        "我姐姐用黑麦面粉烤面包。",
        "中央银行再次提高了利率。",
    ]
    model = BertModel(BertConfig.from_pretrained(folder()), add_pooling_layer=False).eval()
    model.load_state_dict(read_tensors(folder() / "model.safetensors"))

    with torch.inference_mode():
        vectors = torch.stack([average(model, tokenizer.encode(f"query: {text}").ids) for text in texts])
    similarity = torch.nn.functional.normalize(vectors) @ torch.nn.functional.normalize(vectors).T

    for first in range(0, 9, 3):
        for second in range(0, 9, 3):
            block = similarity[first : first + 3, second : second + 3]
            assert block.argmax(dim=1).tolist() == [0, 1, 2]


def average(model: BertModel, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids])).last_hidden_state[0].mean(dim=0)


def test_the_tokenizer_configuration_names_the_class_that_reads_any_tokenizer_json() -> None:
    text = (folder() / "tokenizer_config.json").read_text(encoding="utf-8")

    assert json.loads(text)["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_the_folder_is_beside_the_module() -> None:
    assert isinstance(folder(), Path)
    assert folder().name == "mini"
    assert folder().is_absolute()

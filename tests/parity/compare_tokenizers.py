#!/usr/bin/env python3
"""compare_tokenizers.py -- `hone tokenize` against Hugging Face's tokenizers on random and nasty strings.

    python=$(bash tests/parity/venv.sh tokenizers gguf sentencepiece)
    $python tests/parity/compare_tokenizers.py                       # 10,000 strings, every style
    $python tests/parity/compare_tokenizers.py --write-goldens      # makes tests/core/text/goldens anew
    $python tests/parity/compare_tokenizers.py --gguf SmolLM2.gguf   # and the tokenizer of a byte-level GGUF file
    $python tests/parity/compare_tokenizers.py --directory DIR      # and any directory with a tokenizer.json

Nothing is fetched: small tokenizers are trained here in the styles of the models that people have. For each string the
ids (with and without special tokens) and the text decoded from them are compared. Exits with 1 at any difference.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

SIZE = 700  # tokens of a trained vocabulary
ROOT = pathlib.Path(__file__).resolve().parents[2]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+").replace('\\"', '"')
CASED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

SENTENCES = """
The quick brown fox doesn't jump over 12345 lazy dogs; they've said it'll be fine, I'm told -- and we'd agree.
Natalia sold 48/2 = <<48/2=24>>24 clips in May. How many clips did Natalia sell altogether in April and May?
def f(x):\n    return [i ** 2 for i in range(x) if i % 3 == 0]\n\n\tprint(f(1000))  # 0.5e-3
Être ou ne pas être, voilà la question. Où est l'élève naïf? Ça coûte 3,50 € à Noël.
Größe, Straße, Übermut und Äpfel: zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.
Съешь же ещё этих мягких французских булок, да выпей чаю. Привет, мир! 2024 год.
我们的模型在数学推理任务上表现很好。今天天气不错,我们去公园散步吧。人工智能的发展非常迅速。
これはペンです。東京は日本の首都であり、人口は約1400万人です。カタカナとひらがな。
안녕하세요, 세계! 오늘은 날씨가 좋습니다. 한국어 문장을 토큰으로 나눕니다.
مرحبا بالعالم! هذه جملة باللغة العربية تحتوي على ١٢٣ أرقام. السَّلَامُ عَلَيْكُمْ
שלום עולם! זהו משפט בעברית עם ניקוד: שָׁלוֹם. हिन्दी में एक वाक्य: नमस्ते दुनिया, आप कैसे हैं? १२३
ภาษาไทยไม่มีช่องว่างระหว่างคำ สวัสดีชาวโลก Xin chào thế giới, tiếng Việt có nhiều dấu.
😀 👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 emoji and math: ∑ ∫ √ ≤ ≥ ≠ α β γ → ∞ ½ ² ³ x₁ + x₂
""".strip().replace("\\n", "\n").replace("\\t", "\t").split("\n")


def corpus():
    lines = SENTENCES * 20
    for path in sorted((ROOT / "docs").glob("*.md"))[:6]:
        lines += path.read_text(encoding="utf-8").splitlines()[:300]
    return lines


# ---- the styles

def byte_level(style, **options):
    """A byte-level BPE: its parts are put in before training, so that it is trained on what it will see."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=options.get("ignore_merges", False)))
    if options.get("normalizer"):
        tokenizer.normalizer = options["normalizer"]
    tokenizer.pre_tokenizer = options["pre_tokenizer"]
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=SIZE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=options["special"]))
    tokenizer.add_tokens(options.get("added", []))
    if options.get("bos"):
        bos = options["bos"]
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])])
    return tokenizer


def split(regex):
    return pre_tokenizers.Split(Regex(regex), "isolated")


def plain_byte_level():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def gpt2():
    return byte_level("gpt2", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False), special=["<|endoftext|>"])


def llama3():
    return byte_level("llama3", pre_tokenizer=pre_tokenizers.Sequence([split(LLAMA3), plain_byte_level()]), ignore_merges=True,
                      special=["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], bos="<|begin_of_text|>")


def qwen2():
    return byte_level("qwen2", normalizer=normalizers.NFC(),
                      pre_tokenizer=pre_tokenizers.Sequence([split(QWEN2), plain_byte_level()]),
                      special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                      added=[AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False),
                             AddedToken("Café", normalized=True), AddedToken("mot", single_word=True, normalized=True)])


def deepseek3():
    return byte_level("deepseek3", pre_tokenizer=pre_tokenizers.Sequence(
        [split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), plain_byte_level()]),
        special=["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
        added=[AddedToken("<｜User｜>", normalized=False), AddedToken("<mask>", lstrip=True, normalized=False),
               AddedToken("<sep>", rstrip=True, normalized=False),
               AddedToken("both", lstrip=True, rstrip=True, single_word=True, normalized=False),
               AddedToken("<mask><sep>", normalized=False)])


def smollm():
    return byte_level("smollm", pre_tokenizer=pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])


def gpt4o():
    return byte_level("gpt4o", pre_tokenizer=pre_tokenizers.Sequence([split(CASED), plain_byte_level()]),
                      special=["<|endoftext|>"])


def others():
    """What no model above uses but the file format has: behaviours, inversion, a prefix space, NFD, \\w."""
    return byte_level("others", normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Replace("--", "—"),
                                                                 normalizers.Replace(Regex(r"[\w]{3}\u0301"), "<acute>")]),
                      pre_tokenizer=pre_tokenizers.Sequence([
                          pre_tokenizers.Split(Regex(r"\d{,2}x|[^\d\s]{2}?"), "contiguous"),
                          pre_tokenizers.Split("-", "merged_with_previous"),
                          pre_tokenizers.Split(Regex(r"(?<=e)\s|q(?=u)"), "merged_with_next"),
                          pre_tokenizers.Split(Regex(r"[^\n]+"), "removed", invert=True),
                          pre_tokenizers.Digits(individual_digits=False),
                          pre_tokenizers.ByteLevel(add_prefix_space=True)]),
                      special=["[CLS]"])


def words():
    return byte_level("words", normalizer=normalizers.NFKC(), pre_tokenizer=pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=True)]), special=["[CLS]"])


def sentencepiece_style(metaspace):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.train_from_iterator(SENTENCES[:6] * 20 + corpus()[len(SENTENCES) * 20:], trainers.BpeTrainer(
        vocab_size=SIZE + 300, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = file["added_tokens"][:3]  # the bytes are ordinary tokens
    tokenizer = Tokenizer.from_str(json.dumps(file))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                               decoders.Strip(" ", 1, 0)])
    else:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                               decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tokenizer


STYLES = {"gpt2": gpt2, "llama3": llama3, "qwen2": qwen2, "deepseek3": deepseek3, "smollm": smollm, "gpt4o": gpt4o,
          "others": others, "words": words, "llama2": lambda: sentencepiece_style(False), "metaspace": lambda: sentencepiece_style(True)}


def from_gguf(path):
    """tokenizer.json of a byte-level GGUF file, by gguf's own reader; its pre-tokenizer must be smollm's."""
    import gguf
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.fields[key].contents()
    assert field("tokenizer.ggml.model") == "gpt2" and field("tokenizer.ggml.pre") == "smollm", "only smollm is built here"
    tokens, types = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)},
                                     merges=[tuple(m.split(" ")) for m in field("tokenizer.ggml.merges")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == 3])
    return tokenizer


# ---- the strings

def nasty_strings(count, seed=20240917):
    r = random.Random(seed)
    pick = r.choice
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<think>", "</think>", "<s>", "</s>",
               "<unk>", "<｜begin▁of▁sentence｜>", "<｜User｜>", "<mask>", "<sep>", "<mask><sep>", "both", "mot", "Café", "Cafe\u0301",
               "<0x41>", "[CLS]", "<|im", "end|>"]
    spaces = [" ", "  ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\u00a0", "\u2003", "\u3000", "\u180e", "\u200b", "\u0085", "\u2028",
              "\x0b", "\x0c", "\x1c", "\ufeff"]
    marks = ["\u0301", "\u0327", "\u0323", "\u0334", "\u0345", "\u05b7", "\u064b", "\u093c", "\u0e38", "\u3099", "\U0001d165",
             "\u1dfa", "\U00011a34", "\U0001e2ae"]
    emoji = ["😀", "👨‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇩🇪", "1️⃣", "\U0001faf8", "❤️"]
    blocks = [(0x20, 0x7e), (0xa1, 0x24f), (0x250, 0x36f), (0x370, 0x5ff), (0x600, 0x8ff), (0x900, 0xdff), (0xe00, 0x10ff),
              (0x1100, 0x11ff), (0x1200, 0x1dff), (0x1e00, 0x1fff), (0x2000, 0x2bff), (0x3000, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3),
              (0xf900, 0xfdff), (0xfe00, 0xffff), (0x10000, 0x11fff), (0x16000, 0x16fff), (0x1b000, 0x1ffff), (0x20000, 0x323af),
              (0xe0000, 0xe01ef), (0, 0x10ffff)]
    words = " ".join(SENTENCES).split(" ")

    def character():
        while True:
            low, high = pick(blocks)
            c = r.randint(low, high)
            if not 0xd800 <= c < 0xe000:
                return chr(c)

    def piece():
        kind = r.randrange(17)
        if kind < 3: return pick(words) + pick(["", " ", " ", "\n"])
        if kind == 3: return "".join(character() for _ in range(r.randint(1, 8)))
        if kind == 4: return "".join(pick(spaces) for _ in range(r.randint(1, 6)))
        if kind == 5: return pick(["a", "e", "क", "が", "ש", "x"]) + "".join(pick(marks) for _ in range(r.randint(1, 4)))
        if kind == 6: return pick(emoji) * r.randint(1, 3)
        if kind == 7: return "".join(pick("0123456789٠١२३½²Ⅷ") for _ in range(r.randint(1, 12)))
        if kind == 8: return pick(special)
        if kind == 9: return pick(["a", " ", "\n", "ab", "的", "\u0301", "▁", "=", "-", "0", "<s>"]) * r.randint(1, 80)
        if kind == 10: return pick(["'s", "'S", "'ſ", "'LL", "'ve", "’s", "I'm", "x'D", "'Tis", "'re"])
        if kind == 11: return "".join(pick("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»—…") for _ in range(r.randint(1, 6)))
        if kind == 12: return chr(r.choice([*range(32), 127, *range(0x80, 0xa0)]))
        if kind == 13: return pick(["\ufffd", "\u0000", "\ufffe", "\U0010ffff", "\ue000", "▁▁", "Ġ", "Ċ", "Ã©", "\u00ad", "İ", "ß", "ﬀ", "ﷺ"])
        if kind == 14: return r.choice(["", " "]) + pick(words).upper()
        if kind == 15: return pick(words)[::-1]
        return character() + " " * r.randint(0, 3) + character()

    strings = ["", " ", "\n", "a", "\u0301", "a" * 3000, " " * 3000, "\n" * 500 + "x", "的" * 700, "1234567890" * 60, "a " * 500]
    while len(strings) < count:
        strings.append("".join(piece() for _ in range(r.randint(1, 10))))
    return strings[:count]


# ---- the comparison

def hone_tokenize(hone, directory, strings, *flags):
    rows = "".join(json.dumps({"text": s}, ensure_ascii=False) + "\n" for s in strings)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.write(rows)
        file.flush()
        run = subprocess.run([hone, "tokenize", "--model", str(directory), "--input", file.name, *flags], capture_output=True, encoding="utf-8")
    if run.returncode != 0:
        sys.exit(f"hone tokenize --model {directory}: {run.stderr}")
    return [json.loads(line) for line in run.stdout.split("\n") if line]


def compare(name, tokenizer, hone, directory, strings):
    wrong = 0
    for flags, add in (((), False), (("--add-special-tokens",), True)):
        got = hone_tokenize(hone, directory, strings, *flags)
        expected = tokenizer.encode_batch(strings, add_special_tokens=add)
        assert len(got) == len(strings), f"{name}: {len(got)} rows came back"
        for text, ours, theirs in zip(strings, got, expected):
            decoded = tokenizer.decode(theirs.ids, skip_special_tokens=False)
            if ours["ids"] == theirs.ids and ours["text"] == decoded:
                continue
            wrong += 1
            if wrong <= 5:
                print(f"  {name}: {text!r}\n    ids  {ours['ids']}\n    want {theirs.ids}  {theirs.tokens}\n    text {ours['text']!r}\n    want {decoded!r}")
    print(f"{name:12} {len(strings):6} strings, with and without special tokens: {wrong} differ", flush=True)
    return wrong


def write_goldens(folder, tokenizers, strings):
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [s for s in strings if len(s) <= 40][:130] + ["a" * 90 + " b", "的" * 40, " " * 50 + "x"]
    compact = dict(ensure_ascii=False, separators=(",", ":"))
    (folder / "strings.json").write_text(json.dumps(chosen, **compact) + "\n", encoding="utf-8")
    for name, tokenizer in tokenizers.items():
        file = json.loads(tokenizer.to_str())
        encoded = tokenizer.encode_batch(chosen, add_special_tokens=True)
        golden = {"tokenizer": file, "ids": [e.ids for e in encoded],
                  "text": {i: t for i, (s, e) in enumerate(zip(chosen, encoded)) if (t := tokenizer.decode(e.ids, skip_special_tokens=True)) != s}}
        (folder / f"{name}.json").write_text(json.dumps(golden, **compact) + "\n", encoding="utf-8")
    write_sentencepiece(folder, chosen)


def write_sentencepiece(folder, strings):
    """A vocabulary with scores, and the ids that SentencePiece itself gives: what a GGUF file of model "llama" holds."""
    import io
    import sentencepiece
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, vocab_size=600, model_type="bpe", byte_fallback=True,
        character_coverage=0.99, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
        max_sentence_length=100000, split_digits=True, allow_whitespace_only_pieces=True)
    p = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    kind = lambda i: 2 if p.is_unknown(i) else 3 if p.is_control(i) else 6 if p.is_byte(i) else 5 if p.is_unused(i) else 1
    texts = [s for s in strings if s and not any(c in s for c in "\u0000▁") and not any(f in s for f in ("<s>", "</s>", "<unk>"))]
    golden = {"tokens": [p.id_to_piece(i) for i in range(p.vocab_size())], "scores": [p.get_score(i) for i in range(p.vocab_size())],
              "types": [kind(i) for i in range(p.vocab_size())], "strings": texts, "ids": [p.encode(s) for s in texts]}
    (folder / "sentencepiece.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--hone", default=str(ROOT / "build/release/bin/hone"))
    arguments.add_argument("--count", type=int, default=10000)
    arguments.add_argument("--styles", nargs="*", default=list(STYLES))
    arguments.add_argument("--gguf", help="a GGUF file with a smollm tokenizer")
    arguments.add_argument("--directory", action="append", default=[])
    arguments.add_argument("--work", type=pathlib.Path, help="keep the trained tokenizers here")
    arguments.add_argument("--write-goldens", action="store_true")
    a = arguments.parse_args()
    if a.write_goldens:  # small ones: they are committed
        global SIZE
        SIZE = 400
    tokenizers = {name: STYLES[name]() for name in a.styles}
    strings = nasty_strings(a.count)
    if a.write_goldens:
        write_goldens(ROOT / "tests/core/text/goldens", tokenizers, strings)
        return
    if a.gguf:
        tokenizers["gguf"] = from_gguf(a.gguf)
    for directory in a.directory:
        tokenizers[pathlib.Path(directory).name] = Tokenizer.from_file(f"{directory}/tokenizer.json")
    wrong, began = 0, time.time()
    with tempfile.TemporaryDirectory() as scratch:
        for name, tokenizer in tokenizers.items():
            directory = (a.work or pathlib.Path(scratch)) / name
            directory.mkdir(parents=True, exist_ok=True)
            tokenizer.save(str(directory / "tokenizer.json"))
            wrong += compare(name, tokenizer, a.hone, directory, strings)
    print(f"{len(tokenizers)} tokenizers, {wrong} differences, {time.time() - began:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

"""The patterns that cut text into words before byte-level BPE, by the names that GGUF files use.

They cut as llama.cpp does (https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp,
MIT). Where it cuts in passes, the digits first and then the words between them, one pattern does
the same here: what an earlier pass takes comes first, later alternatives leave it alone, and white
space before it counts as the last of its piece.
"""

from __future__ import annotations

_ENDINGS = r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_KANJI = r"\u4e00-\u9fa5\u3040-\u30ff"
_SPACES = r"\s+(?!\S)|\s+"

_GPT_2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|{_SPACES}"

_SMOLLM = r"\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"

_GPT_4O, _TEKKEN = (
    "|".join(
        [
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{endings}",
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{endings}",
            rf"\p{{N}}{digits}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            _SPACES,
        ]
    )
    for endings, digits in ((f"(?:{_ENDINGS})?", "{1,3}"), ("", ""))
)

_LLAMA_3, _QWEN_2, _QWEN_3_5 = (
    "|".join(
        [
            _ENDINGS,
            rf"[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}{marks}]+",
            rf"\p{{N}}{digits}",
            rf" ?[^\s\p{{L}}{marks}\p{{N}}]+[\r\n]*",
            r"\s*[\r\n]+",
            _SPACES,
        ]
    )
    for marks, digits in (("", "{1,3}"), ("", ""), (r"\p{M}", ""))
)

_DEEPSEEK_3 = "|".join(
    [
        r"\p{N}{1,3}",
        rf"[{_KANJI}]+",
        r"[!-/:-@\[-`{-~][A-Za-z]+",
        rf"[^\r\n\p{{L}}\p{{P}}\p{{S}}\p{{N}}{_KANJI}]?(?:(?![{_KANJI}])[\p{{L}}\p{{M}}])+",
        rf" ?(?:(?![{_KANJI}])[\p{{P}}\p{{S}}])+[\r\n]*",
        r"\s*[\r\n]+",
        rf"\s+(?![^\s\p{{N}}{_KANJI}])",
        r"\s+",
        r"[^\r\n]",
    ]
)

PATTERNS = {
    **dict.fromkeys(("gpt-2", "phi-2", "exaone4", "olmo", "mpt", "modern-bert"), _GPT_2),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), _SMOLLM
    ),
    **dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "lfm2", "dbrx",
         "smaug-bpe", "glm4", "chatglm-bpe"), _LLAMA_3,
    ),
    **dict.fromkeys(
        ("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "grok-2"), _QWEN_2
    ),
    "qwen35": _QWEN_3_5,
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2"), _GPT_4O),
    "tekken": _TEKKEN,
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense"), _DEEPSEEK_3),
}  # fmt: skip

WHOLE_WORDS = frozenset(
    ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "lfm2", "tekken")
)
"""Names of tokenizers that take a word for one token if it is one, whatever the merges say."""

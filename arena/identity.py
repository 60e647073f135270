"""Does an answer give away who wrote it? Pure: patterns from the roster and the well-known makers, and a text.

Only what an assistant says of itself counts: "I am Gemini", "as a model developed by Google", in English, French,
German and Spanish. The mere mention of a company or a model does not, nor what somebody says in quotation marks.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from arena.roster import ModelEntry

MAKERS = (
    "OpenAI",
    "Open AI",
    "Google DeepMind",
    "Google AI",
    "Google Research",
    "Google",
    "DeepMind",
    "Anthropic",
    "Meta AI",
    "Meta Platforms",
    "Meta",
    "Facebook",
    "Mistral AI",
    "Mistral",
    "Microsoft",
    "Alibaba Cloud",
    "Alibaba",
    "xAI",
    "DeepSeek",
    "Cohere",
    "Moonshot AI",
    "Zhipu AI",
    "Amazon",
    "NVIDIA",
    "IBM",
    "Baidu",
    "Tencent",
    "ByteDance",
    "Apple",
    "Hugging Face",
)
"""Who makes language models."""

MODELS = (
    "ChatGPT",
    "GPT",
    "Gemini",
    "Bard",
    "PaLM",
    "Gemma",
    "Claude",
    "Llama",
    "Mistral",
    "Mixtral",
    "Qwen",
    "DeepSeek",
    "Grok",
    "Phi-2",
    "Phi-3",
    "Phi-4",
    "Command R",
    "Copilot",
    "Kimi",
    "Granite",
    "Nemotron",
    "Ernie",
    "Doubao",
)
"""Well-known names of models; a number, size or version may follow each."""

_GENERIC = frozenset({"default", "latest", "model", "assistant", "chat", "demo", "test", "local", "manual", "instruct"})
_DOTLESS = str.maketrans("ıİ", "ii")
_QUIET = str.maketrans({"*": None, "`": None, "’": "'", "‘": "'", "\u00a0": " "})


@dataclass(frozen=True, slots=True)
class IdentityPatterns:
    """What gives a writer away, compiled once from a roster."""

    statements: Mapping[tuple[str, ...], tuple[re.Pattern[str], ...]]
    """By how they begin, folded."""
    names: Sequence[str]
    """Parts of names, folded: a text that holds none of them gives nobody away."""


def identity_patterns(models: Iterable[ModelEntry]) -> IdentityPatterns:
    """Compile the patterns for a roster; a name that all of its models share tells nobody anything and is left out."""
    names = [*roster_names(models), *MODELS]
    words = {
        "model": rf"(?:{_alternatives(names)})(?:[- ]?v?\d[\w.]*(?:-[\w.]+)*)?",
        "maker": _alternatives(MAKERS),
    }
    statements = {
        tuple(map(_folded, openings)): tuple(
            re.compile(_spelled(openings, form, words), re.IGNORECASE) for form in forms
        )
        for openings, forms in _STATEMENTS.items()
    }
    return IdentityPatterns(statements, _telling_parts([*names, *MAKERS]))


def find_identity(text: str, patterns: IdentityPatterns) -> list[str]:
    """The phrases in which `text` names its own maker or model, in the text's order; empty if it gives nothing away.

    Most answers hold no name: they are done after a search for some words, a twentieth of the time of the patterns.
    """
    quiet = text.translate(_QUIET)
    folded = _folded(quiet)
    if not any(name in folded for name in patterns.names):
        return []
    found = {
        match.span(): match.group().strip()
        for openings, statements in patterns.statements.items()
        if any(opening in folded for opening in openings)
        for statement in statements
        for match in statement.finditer(quiet)
    }
    return list(dict.fromkeys(found[span] for span in sorted(found)))


def roster_names(models: Iterable[ModelEntry]) -> Sequence[str]:
    """Ids, display names, families and the telling parts of API names that not all models share."""
    of_each = [_names_of(model) for model in models]
    shared = frozenset.intersection(*of_each) if len(of_each) > 1 else frozenset()
    return sorted(frozenset().union(*of_each) - shared)


def _names_of(model: ModelEntry) -> frozenset[str]:
    display = model.display_name
    pieces = re.split(r"[/:]", model.model_name)
    named = [model.id, display, re.sub(r"\s*\(.*?\)", "", display), model.family or "", *pieces]
    named += [f"{model.family} {model.version}" if model.family and model.version else ""]
    return frozenset(name.strip().lower() for name in named if _telling(name.strip()))


def _telling(name: str) -> bool:
    """Whether a name is long and odd enough that a statement with it is about the model."""
    return (
        len(name) >= 4 and name.lower() not in _GENERIC and name not in ("projects", "locations", "models", "endpoints")
    )


def _alternatives(names: Iterable[str]) -> str:
    """Any of the names, longest first; spaces and hyphens in them are interchangeable."""
    ordered = sorted(dict.fromkeys(names), key=len, reverse=True)
    return "|".join(re.sub(r"(?:\\[ -])+", "[- ]?", re.escape(name)) for name in ordered)


_WHAT = {
    "en": r"(?:AI|A\.I\.|language|assistant|chat ?bot|bot|model|LLM|system|program|neural network)",
    "fr": r"(?:IA|modèle|assistant|assistante|agent conversationnel|chatbot|LLM|programme|système)",
    "de": r"(?:KI|[\w-]*modell|[\w-]*assistentin|[\w-]*assistent|chatbot|LLM|programm|system)",
    "es": r"(?:IA|modelo|asistente|chatbot|LLM|programa|sistema|inteligencia artificial)",
}
_MADE = {
    "en": r"(?:made|built|created|developed|designed|trained|fine-?tuned|tuned|produced|provided|offered|released)",
    "fr": r"(?:fait|faite|conçue?|créée?|développée?|entra[îi]née?|fabriquée?|proposée?)",
    "de": r"(?:gemacht|gebaut|erstellt|entwickelt|entwickeltes|trainiert|trainiertes|erschaffen|geschaffen)",
    "es": r"(?:hech[oa]|cread[oa]|desarrollad[oa]|entrenad[oa]|diseñad[oa])",
}
_STATEMENTS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    # English
    ("I am", "I'm"): (
        r"(?: (?:called|named|known as|actually|really|just|simply))? {model}",
        r"(?: [\w,-]+){{0,4}}? (?:an?|the) {model} {what_en}",
        r" (?:an?|the)(?: [\w,'-]+){{0,6}}? {what_en}\b(?:[\w ,()'-]{{0,40}}?){made_en} by {by}",
        r" (?:an?|the)(?: [\w,'-]+){{0,6}}? {what_en} (?:from|by|of) {by}",
        r" (?:an? |the )?(?:{maker})(?:'s)? (?:[\w-]+ ){{0,4}}?(?:{what_en}|{model})",
        r" (?:based on|powered by|running on|built on|a version of|part of)(?: the)? (?:{maker}'s )?{model}",
    ),
    ("I was", "I have been", "I've been"): (r"(?: \w+)?? {made_en}(?: and \w+)? by {by}",),
    ("I run on",): (" {by}",),
    ("my name is", "you can call me", "call me"): (" {model}",),
    ("my creator", "my maker", "my developer"): ("s? (?:is|are|at) {by}",),
    ("as",): (
        r" (?:an?|the)(?: [\w,'-]+){{0,5}}? {what_en}\b(?:[\w ,()'-]{{0,40}}?){made_en} by {by}",
        r" (?:an? |the )?(?:{maker})(?:'s)? (?:[\w-]+ ){{0,3}}?{what_en}\b",
        r" (?:an? |the )?{model}(?: {what_en})?, I\b",
    ),
    # French
    ("je suis",): (
        " (?:le |la |un |une )?{model}",
        r" (?:une? |le |la |l')(?:[\w,'-]+ ){{0,6}}?{what_fr}\b(?:[\w ,()'-]{{0,40}}?)(?:par|de|d'|chez) ?{by}",
    ),
    ("j'ai été",): (r" {made_fr}(?: et \w+)? (?:par|chez) {by}",),
    ("je m'appelle", "mon nom est", "appelez-moi"): (" {model}",),
    ("en tant qu",): (
        r"(?:e |')(?:[\w,'-]+ ){{0,5}}?{what_fr}\b(?:[\w ,()'-]{{0,40}}?)(?:par|de|d') ?{by}",
        r"e {model}, je\b",
    ),
    # German
    ("ich bin",): (
        " (?:das |der |ein |eine )?{model}",
        r" (?:ein|eine|das|der|die)(?: [\w,-]+){{0,5}}? {what_de}\b(?:[\w ,()-]{{0,40}}?)(?:von|bei) {by}",
        " (?:ein|eine|das|der) von {by}",
    ),
    ("ich wurde",): (r" (?:\w+ )?(?:von|bei) {by}(?: \w+)? {made_de}",),
    ("ich heiße", "ich heisse", "mein Name ist", "nenn mich"): (" {model}",),
    ("als",): (
        r" (?:ein |eine |das )?(?:[\w,-]+ ){{0,3}}?von {by} {made_de}\w*",
        r" (?:[\w,-]+ ){{0,3}}?{what_de} von {by}",
        r" {model} (?:bin|kann|habe) ich\b",
    ),
    # Spanish
    ("soy",): (
        " (?:el |la |un |una )?{model}",
        r" (?:una? |el |la )(?:[\w,-]+ ){{0,6}}?{what_es}\b(?:[\w ,()-]{{0,40}}?)(?:{made_es} )?(?:por|de) {by}",
    ),
    ("fui", "he sido"): (r" {made_es}(?: y \w+)? por {by}",),
    ("me llamo", "mi nombre es", "puedes llamarme"): (" {model}",),
    ("como",): (r" (?:una? )?(?:[\w,-]+ ){{0,6}}?{what_es}\b(?:[\w ,()-]{{0,40}}?)(?:{made_es} )(?:por|de) {by}",),
}
"""First-person statements, by how they begin; `{model}` and `{maker}` are names, `{by}` is either.

None has no name in it: `find_identity` rests on that.
"""


def _spelled(openings: Sequence[str], form: str, words: Mapping[str, str]) -> str:
    kinds = {f"what_{code}": what for code, what in _WHAT.items()} | {f"made_{code}": m for code, m in _MADE.items()}
    model = words["model"] + r"(?![\w'])"
    by = rf"(?:the (?:\w+ )?team at )?(?:{words['maker']}|{words['model']})(?!\w)"
    body = form.format(model=model, maker=words["maker"], by=by, **kinds)
    return rf"(?<![\"“«„'])(?<![\"“«„]\s)\b(?:{'|'.join(openings)}){body}"


def _folded(text: str) -> str:
    """`text` in which whatever a pattern takes for the same letter is the same."""
    return text.translate(_DOTLESS).casefold()


def _telling_parts(names: Iterable[str]) -> Sequence[str]:
    """What folded text must hold one of to hold one of the names: of each the longest word."""
    words = {max(re.split("[ -]+", _folded(name)), key=len) for name in names}
    return sorted(word for word in words if not any(other in word for other in words - {word}))

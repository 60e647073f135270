"""Does an answer decline to answer? Pure: its first sentences, in English, French, German and Spanish."""

import re

_BEGINNING = 240
"""Characters looked at: a refusal comes first; later on, "I cannot" mostly speaks of something else."""

_CANNOT = r"I (?:can't|cannot|can not|won't|will not|am unable|'m unable|am not able|'m not able)"
_HELP = (
    r"(?:help|assist|provide|comply|answer|fulfil|fulfill|support|create|write|generate|continue"
    r"|discuss|engage|share|give)"
)
_AIDER = r"(?:aider|répondre|fournir|faire|satisfaire|donner|accéder)"
_HELFEN = r"(?:helfen|beantworten|bereitstellen|unterstützen|erfüllen|geben)"
_AYUDAR = r"(?:ayudar|responder|proporcionar|hacer eso|cumplir|continuar|dar)"
_FORMS = (
    (("sorry", "afra"), rf"\bI(?: am|'m)?(?: really| very| so)? ?(?:sorry|afraid)\b[^.!?]{{0,40}}\b{_CANNOT}"),
    (("n't ", "not "), rf"\bI (?:can't|cannot|can not|won't|will not)(?: \w+)? {_HELP}\b"),
    (("unable", "not "), rf"\bI(?: am|'m) (?:unable|not able|not allowed|not permitted)(?: \w+)? to {_HELP}\b"),
    (("must",), r"\bI must (?:decline|refuse)\b"),
    (("as an a",), r"\bas an AI(?: language model)?,? I (?:can't|cannot|don't|do not|am unable|am not able)"),
    (("je ne",), rf"\bje ne (?:peux|puis|pourrai) (?:pas |malheureusement pas )?(?:vous |t')?{_AIDER}"),
    (("je ne",), r"\bje (?:suis désolée?|regrette),? (?:mais )?je ne (?:peux|puis)"),
    (("kann",), rf"\b(?:ich kann|kann ich) (?:\w+ ){{0,5}}(?:nicht|keine?n?) (?:\w+ ){{0,4}}{_HELFEN}"),
    (("kann",), r"\bes tut mir leid,? (?:aber )?(?:ich kann|das kann ich|da kann ich)\b[^.!?]{0,60}\bnicht\b"),
    (("puedo",), rf"\bno puedo {_AYUDAR}"),
    (("puedo",), r"\blo siento,? (?:pero )?no puedo\b"),
)
"""Each form after pieces of which one is in all that it fits; without an `i`, which is also that of `İ`."""
_PATTERNS = tuple((piece, re.compile(form, re.IGNORECASE)) for pieces, form in _FORMS for piece in pieces)
"""The pieces are looked for first: a tenth of the work."""


def is_refusal(text: str) -> bool:
    """Whether the answer begins by declining what was asked."""
    beginning = text[:_BEGINNING].replace("’", "'")
    folded = beginning.casefold()
    return any(pattern.search(beginning) for piece, pattern in _PATTERNS if piece in folded)

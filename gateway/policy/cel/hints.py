"""What people write when they mean something else, and what they should write: the words of the hints."""

from __future__ import annotations

# Written for an operator; the parser reads on as if the right one stood there
INSTEAD = {
    "=>": ">=",
    "=<": "<=",
    "=": "==",
    "===": "==",
    "!==": "!=",
    "<>": "!=",
    "&": "&&",
    "|": "||",
    "and": "&&",
    "or": "||",
    "is": "==",
}

NAMES_INSTEAD = {
    "True": "true",
    "TRUE": "true",
    "False": "false",
    "FALSE": "false",
    "score": "scores",
    "label": "labels",
    "list": "lists",
    "hash": "hashes",
    "vote": "votes",
}

# CEL that is not in the profile: how it is written → what to do instead
ABSENT = {
    "+": "numbers are compared, not calculated with",
    "-": "numbers are compared, not calculated with",
    "*": "numbers are compared, not calculated with",
    "/": "numbers are compared, not calculated with",
    "%": "numbers are compared, not calculated with; 70 % of a score is written 0.7",
    "?": "write two rules, or (a && b) || (!a && c)",
    "{": "",
    "null": "what is missing is unknown by itself, and if_unknown says what then",
    "has": "what is missing is unknown by itself, and if_unknown says what then",
    "matches": "have patterns matched at ingest, and ask ocr.terms",
    "map": "ask with exists, all or exists_one",
    "filter": "ask with exists, all or exists_one",
    "size": "ask with exists, all or exists_one",
    "now": "pass the time as a field of context, so that a decision can be replayed",
    "timestamp": "pass the time as a field of context, so that a decision can be replayed",
    "duration": "pass the time as a field of context, so that a decision can be replayed",
    "lowerAscii": "pass the text in lower case as a field of context",
    **dict.fromkeys(("int", "uint", "double", "string", "bool", "bytes", "dyn", "type"), "kinds are not converted"),
}

CHARACTERS = {
    **dict.fromkeys("“”„‟", 'quotes are written "'),
    **dict.fromkeys("‘’‚‛", "quotes are written '"),
    "`": 'quotes are written "',
    "≥": "write >=",
    "≤": "write <=",
    "≠": "write !=",
    "#": "a comment begins with //",
    ";": "an expression has no end mark",
    "\u00a0": "this is a no-break space",
    "$": "a field is written context.name",
    "@": "a field is written context.name",
    "^": "",
    "~": "",
    "\\": "",
}

RESERVED = frozenset(
    {
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop"),
        *("package", "namespace", "return", "var", "void", "while"),
    }
)

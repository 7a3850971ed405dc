"""The language of rules, a strict profile of CEL: `check(parse(text), vocabulary)` → a typed tree."""

from gateway.policy.cel.checker import check
from gateway.policy.cel.mistake import ExpressionError, Mistake, line_and_column
from gateway.policy.cel.parser import parse
from gateway.policy.cel.typed import TypedTree
from gateway.policy.cel.vocabulary import Vocabulary

__all__ = ["ExpressionError", "Mistake", "TypedTree", "Vocabulary", "check", "line_and_column", "parse"]

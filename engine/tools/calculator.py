"""Arithmetic for a model that can't do it in its head."""

from __future__ import annotations

import ast
import math
import operator
from typing import TYPE_CHECKING, Annotated, TypeAlias

from engine.tools.registry import ToolContext, ToolError, tool

if TYPE_CHECKING:
    from collections.abc import Callable

Number: TypeAlias = int | float

LONGEST_EXPRESSION = 500
LARGEST_EXPONENT = 1_000
LARGEST_DIGITS = 1_000
"""Powers and products beyond these would keep the processor busy for long."""

_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs, "round": round, "min": min, "max": max, "sqrt": math.sqrt, "log": math.log,
    "log10": math.log10, "log2": math.log2, "exp": math.exp, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "asin": math.asin, "acos": math.acos, "atan": math.atan, "floor": math.floor,
    "ceil": math.ceil, "degrees": math.degrees, "radians": math.radians,
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}


@tool(compacts_to="Result of {expression}, left out. Calculate again if needed.")
async def calculator(
    context: ToolContext,
    expression: Annotated[str, "Such as `(3 + 4) * 2`, `sqrt(2)` or `2 ** 10`"],
) -> str:
    """Work out an arithmetic expression: + - * / // % **, common functions, pi and e."""
    if len(expression) > LONGEST_EXPRESSION:
        raise ToolError(f"The expression is longer than {LONGEST_EXPRESSION} characters.")
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    except SyntaxError:
        raise ToolError(f"{expression!r} is not an arithmetic expression.") from None
    except (ArithmeticError, ValueError, TypeError) as error:
        raise ToolError(f"{expression} can't be worked out: {error}.") from None
    except RecursionError:
        raise ToolError("The expression is nested too deeply.") from None


def _value(node: ast.expr) -> Number:
    """Walk the syntax tree; only numbers and what the tables above name is ever run."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=unary, operand=operand) if type(unary) in _UNARY:
            return _UNARY[type(unary)](_value(operand))
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return _power(_value(base), _value(exponent))
        case ast.BinOp(left=left, op=binary, right=right) if type(binary) in _BINARY:
            return _bounded(_BINARY[type(binary)](_value(left), _value(right)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(arg) for arg in args))
    raise ToolError(f"{ast.unparse(node)!r} is not arithmetic.")


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > LARGEST_EXPONENT and isinstance(base, int) and abs(base) > 1:
        raise ToolError(f"Exponents go up to {LARGEST_EXPONENT}.")
    value = base**exponent
    if isinstance(value, complex):
        raise ToolError("The result is not a real number.")
    return _bounded(value)


def _bounded(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > LARGEST_DIGITS * math.log2(10):
        raise ToolError(f"The result has more than {LARGEST_DIGITS} digits.")
    return value

"""The house's bounds on size: no file over 300 lines, no function over 45, nine in ten at most 25."""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

MAX_FILE, MAX_FUNCTION, P90_FUNCTION = 300, 45, 25


def main() -> int:
    """Print what is out of bounds; 1 if anything is."""
    problems = []
    lengths = []
    for path in sorted([*Path("pipeline").rglob("*.py"), *Path("tests").rglob("*.py")]):
        text = path.read_text()
        if (lines := len(text.splitlines())) > MAX_FILE:
            problems.append(f"{path}: {lines} lines, at most {MAX_FILE}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = _length(node)
                if length > MAX_FUNCTION:
                    place = f"{path}:{node.lineno} {node.name}"
                    problems.append(f"{place}: {length} lines, at most {MAX_FUNCTION}")
                if path.parts[0] == "pipeline":
                    lengths.append(length)
    p90 = statistics.quantiles(lengths, n=10)[-1]
    if p90 > P90_FUNCTION:
        problems.append(f"nine in ten functions have at most {p90:.0f} lines, not {P90_FUNCTION}")
    print("\n".join(problems) or f"{len(lengths)} functions, median {statistics.median(lengths):.0f} lines")
    return bool(problems)


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = ast.get_docstring(node, clean=False)
    return (node.end_lineno or node.lineno) - node.lineno + 1 - len((docstring or "").splitlines())


if __name__ == "__main__":
    sys.exit(main())

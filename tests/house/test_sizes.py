"""The sizes of the house: no module over 500 lines, no function over 50."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE_LINES = 500
FUNCTION_LINES = 50


def too_long(source: str, name: str) -> list[str]:
    """What is too long in one module: itself, or functions of it, nested ones and methods too."""
    lines = len(source.splitlines())
    found = [f"{name}: {lines} lines"] if lines > MODULE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{name}: {node.name}, {length} lines")
    return found


def test_no_module_and_no_function_is_too_long() -> None:
    files = [file for folder in ("harness", "tests", "benchmarks") for file in sorted((ROOT / folder).rglob("*.py"))]
    found = [line for file in files for line in too_long(file.read_text("utf-8"), str(file.relative_to(ROOT)))]

    assert files
    assert found == []


def test_a_long_module_is_found() -> None:
    assert too_long("x = 1\n" * 500, "a.py") == []
    assert too_long("x = 1\n" * 501, "a.py") == ["a.py: 501 lines"]


def test_a_long_function_is_found_wherever_it_is() -> None:
    def body(length: int, indent: str) -> str:
        return f"{indent}    pass\n" * (length - 1)

    assert too_long("def f():\n" + body(50, ""), "a.py") == []
    assert too_long("def f():\n" + body(51, ""), "a.py") == ["a.py: f, 51 lines"]
    assert too_long("class A:\n    async def g(self):\n" + body(51, "    "), "a.py") == ["a.py: g, 51 lines"]
    assert too_long("def f():\n    def h():\n" + body(51, "    "), "a.py")[-1] == "a.py: h, 51 lines"

"""PMM's part, as far as it is documented: read a check's file, ask its queries, run its script.

PMM itself uses another Starlark interpreter (in Go, stricter in some points): `lint` finds what
that one would refuse and this one takes.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, Final

import pymysql
import starlark
import yaml
from pymysql.cursors import DictCursor

FOLDER: Final = Path(__file__).parents[2] / "alert-rules" / "pmm"
FILES: Final = sorted(path.name for path in FOLDER.glob("*.yml"))

Rows = list[dict[str, Any]]


def read(name: str) -> dict[str, Any]:
    (document,) = yaml.safe_load_all((FOLDER / name).read_text())
    (check,) = document["checks"]
    assert isinstance(check, dict)
    return check


def queries(check: dict[str, Any]) -> list[str]:
    return [each["query"] for each in check["queries"]] if "queries" in check else [check["query"]]


def ask(port: int, query: str, database: str, user: str = "root") -> Rows:
    """What PMM's agent does for MYSQL_SELECT; numbers reach the script as text there."""
    connection = pymysql.connect(
        host="127.0.0.1", port=port, user=user, cursorclass=DictCursor, autocommit=True
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT " + query.replace("percona.audit_data", f"{database}.audit_data")
            )
            return [
                {key: None if value is None else str(value) for key, value in row.items()}
                for row in cursor.fetchall()
            ]
    finally:
        connection.close()


def run(check: dict[str, Any], docs: list[Rows]) -> Rows:
    """Run a script of either generation on the rows of its queries."""
    module = starlark.Module()
    program = starlark.parse(check["name"], check["script"])
    starlark.eval(module, program, starlark.Globals.standard())
    frozen = module.freeze()
    if check["version"] == 1:
        results = frozen.call("check", docs[0])
        assert results == frozen.call("check_context", docs[0], {})
    else:
        results = frozen.call("check_context", docs, {})
    results = json.loads(json.dumps(results))
    for result in results:
        validate(result)
    assert isinstance(results, list)
    return results


def validate(result: dict[str, Any]) -> None:
    """The rules for a result: severity of the list, labels text to text."""
    assert result["summary"]
    assert result["severity"] in {"error", "warning", "notice", "critical"}
    assert all(isinstance(text, str) for pair in result["labels"].items() for text in pair)
    assert set(result) <= {"summary", "description", "severity", "labels", "read_more_url"}


_ALLOWED: Final = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign,
    ast.For, ast.If, ast.Break, ast.Expr, ast.Call, ast.Name, ast.Constant, ast.Attribute,
    ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.List,
    ast.Tuple, ast.Dict, ast.ListComp, ast.DictComp, ast.comprehension, ast.expr_context,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip


def lint(script: str) -> list[str]:
    """Find what PMM's interpreter refuses: recursion, statements outside functions, `is`, tabs …"""
    problems = ["a tab"] if "\t" in script else []
    tree = ast.parse(script)
    names: set[str] = set()
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name in names:
            problems.append(f"line {node.lineno}: only functions, each name once")
            continue
        # Called before it is defined, or by itself: the one is bad style, the other an error.
        names.add(node.name)
        problems += [
            f"line {inner.lineno}: {node.name} calls itself"
            for inner in ast.walk(node)
            if isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Name)
            and inner.func.id == node.name
        ]
    problems += [
        f"{type(node).__name__} is no Starlark"
        for node in ast.walk(tree)
        if not isinstance(node, _ALLOWED) or isinstance(node, ast.Is | ast.IsNot | ast.Pow)
    ]
    return problems

"""What Python 2's words meant where Python 3 reads the same text otherwise: division, comparison, sort, decode.

A pass over the syntax tree puts a call of `runtime` in the place of each.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from vmz.mends.python2.source import CannotTranslate

RUNTIME = "__vmz_python2__"  # the module `runtime`, as the translated source calls it
CAUGHT = "__vmz_caught__"
COMPARISONS = {
    ast.Lt: "less",
    ast.LtE: "less_or_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_or_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
# Methods of a text, which bytes have too, but not with text as an argument.
OF_TEXT = """count endswith find format index join lstrip partition replace rfind rindex rpartition rsplit rstrip split
    startswith strip""".split()  # noqa: SIM905 - twenty quotes say no more


def future_features(tree: ast.Module) -> set[str]:
    """What the source imports from __future__."""
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__")
    return {alias.name for node in imports for alias in node.names}


def keep_meaning(tree: ast.Module, path: str) -> ast.Module:
    """The tree with Python 2's meaning, line numbers kept. Raises CannotTranslate."""
    return ast.fix_missing_locations(_Meaning(path, "division" in future_features(tree)).visit(tree))


class _Meaning(ast.NodeTransformer):
    def __init__(self, path: str, true_division: bool) -> None:
        self._path = path
        self._true_division = true_division
        self._caught: list[str] = []  # the names of the exceptions whose handlers are open

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div) and not self._true_division:
            return _call(node, "divide", node.left, node.right)
        if isinstance(node.op, (ast.Add, ast.Mod)):
            return _call(node, "add" if isinstance(node.op, ast.Add) else "modulo", node.left, node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or self._true_division:
            return node
        if any(isinstance(each, (ast.Call, ast.Await, ast.NamedExpr)) for each in ast.walk(node.target)):
            raise CannotTranslate(
                f"{self._path}, line {node.lineno}: `/=` to the result of a call cannot be translated; write it as "
                "two statements"
            )
        value = _call(node, "divide_in_place", _loaded(node.target), node.value)
        return ast.copy_location(ast.Assign(targets=[node.target], value=value), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        node.ops = [self._of_types(op, [node.left, *node.comparators][place:]) for place, op in enumerate(node.ops)]
        name = COMPARISONS.get(type(node.ops[0]))
        if len(node.ops) > 1 or name is None:
            return node
        return _call(node, name, node.left, node.comparators[0])

    def _of_types(self, op: ast.cmpop, sides: Sequence[ast.expr]) -> ast.cmpop:
        """`type(x) is unicode`: a text's type is str, which equals unicode and is not it."""
        if isinstance(op, (ast.Is, ast.IsNot)) and any(_is_unicode(side) for side in sides[:2]):
            return ast.Eq() if isinstance(op, ast.Is) else ast.NotEq()
        return op

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute) or any(isinstance(each, ast.Starred) for each in node.args):
            return node
        if node.func.attr in ("sort", "decode", "encode"):
            found = _call(node, node.func.attr, node.func.value, *node.args)
            found.keywords = node.keywords
            return found
        if node.func.attr in OF_TEXT and (node.args or node.keywords):
            name = ast.copy_location(ast.Constant(value=node.func.attr), node)
            found = _call(node, "method", node.func.value, name, *node.args)
            found.keywords = node.keywords
            return found
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self._caught.append(node.name or "")
        self.generic_visit(node)
        self._caught.pop()
        if node.name:  # Python 3 deletes the name at the end of the handler
            kept = ast.Assign(
                targets=[ast.Name(id=node.name, ctx=ast.Store())], value=ast.Name(id=CAUGHT, ctx=ast.Load())
            )
            for each in ast.walk(kept):
                ast.copy_location(each, node)
            node.name = CAUGHT
            node.body.insert(0, kept)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        is_caught = isinstance(node.value, ast.Name) and node.value.id in self._caught
        if node.attr == "message" and is_caught and isinstance(node.ctx, ast.Load):
            return _call(node, "message", node.value)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
        for old, new in (("__div__", "__truediv__"), ("__rdiv__", "__rtruediv__"), ("__idiv__", "__itruediv__")):
            if old in methods and new not in methods:
                methods[old].name = new
        if "__unicode__" in methods and "__str__" not in methods:
            methods["__unicode__"].name = "__str__"
        if "__eq__" in methods and "__hash__" not in methods:
            node.decorator_list.append(_runtime(node, "hashed_as_before"))
        if "__cmp__" in methods:
            node.decorator_list.append(_runtime(node, "ordered_by_cmp"))
        return node


def _is_unicode(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "unicode"


def _runtime(at: Any, name: str) -> ast.Attribute:
    root = ast.copy_location(ast.Name(id=RUNTIME, ctx=ast.Load()), at)
    return ast.copy_location(ast.Attribute(value=root, attr=name, ctx=ast.Load()), at)


def _call(at: Any, name: str, *arguments: ast.expr) -> ast.Call:
    return ast.copy_location(ast.Call(func=_runtime(at, name), args=list(arguments), keywords=[]), at)


def _loaded(target: Any) -> Any:
    """The target of an assignment, as what is read from."""
    copy = ast.parse(ast.unparse(target), mode="eval").body
    for node in ast.walk(copy):
        ast.copy_location(node, target)
    return copy

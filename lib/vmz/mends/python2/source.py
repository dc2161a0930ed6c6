"""Text of Python 2 to a syntax tree of Python 3 whose lines are the file's.

lib2to3 does the grammar: print, exec, except, raise, backticks, <>, octal numbers, has_key, iteritems. Here is what is
before it (encodings, tabs) and after it (line numbers). What the words mean is in `meaning`.
"""

from __future__ import annotations

import ast
import difflib
import io
import logging
import re
import warnings
from functools import cache
from typing import Any, NoReturn, Optional

from vmz.errors import VmzError

FIXERS = """dict except exec funcattrs has_key metaclass methodattrs ne next nonzero numliterals paren print raise repr
    sys_exc throw tuple_params"""


class CannotTranslate(VmzError):
    """A source that is no Python 2, or has in it what cannot be translated; the message names file and line."""


def decode(content: bytes, path: str) -> str:
    """The text of a source file, by its encoding comment; without one UTF-8, or latin1 where it is no UTF-8."""
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
    head = b"\n".join(content.split(b"\n")[:2]).decode("latin1")
    found = re.search(r"(?m)^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", head)
    try:
        text = content.decode(found[1] if found else "utf-8")
    except LookupError:
        raise CannotTranslate(f"{path}, line 1: unknown encoding {found[1] if found else ''!r}") from None
    except UnicodeDecodeError:
        text = content.decode("latin1")
    # The text is decoded: the comment must not count again.
    return text if text.endswith("\n") else text + "\n"


def parse(text: str, path: str) -> ast.Module:
    """The tree of a Python 2 source, its line numbers those of `text`. Raises CannotTranslate."""
    text = _without_tabs(text)
    try:
        new = _grammar(text, path)
    except CannotTranslate:
        try:  # a file that has been ported already, with print(..., file=...) but without the future import
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(text, path)
        except SyntaxError:
            pass
        raise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a plain string: no news for a program of that time
            tree = ast.parse(new, path)
    except (SyntaxError, ValueError) as error:
        line = _old_line(text, new, getattr(error, "lineno", 0) or 1)
        reason = getattr(error, "msg", None) or str(error)
        raise CannotTranslate(
            f"{path}, line {line}: cannot be translated from Python 2 to Python 3 ({reason}); change this line"
        ) from error
    if new.count("\n") != text.count("\n"):
        _renumber(tree, text, new)
    return tree


def _grammar(text: str, path: str) -> str:
    tool = _tool()
    from lib2to3.pgen2.parse import ParseError
    from lib2to3.pgen2.tokenize import TokenError

    tool.fixer_log.clear()
    try:
        tree = tool.refactor_string(_strings(text), path)
    except ParseError as error:
        line = error.context[1][0] if error.context else 1
        raise CannotTranslate(f"{path}, line {line}: this is not valid Python 2 (near {error.value!r})") from error
    except (TokenError, IndentationError) as error:
        place = error.args[1]
        line = place[0] if isinstance(error, TokenError) else place[1]
        raise CannotTranslate(f"{path}, line {line}: this is not valid Python 2 ({error.args[0]})") from error
    for number, entry in enumerate(tool.fixer_log):
        found = re.match(r"Line (\d+): could not convert", str(entry))
        if found:
            reason = str(tool.fixer_log[number + 1]) if number + 1 < len(tool.fixer_log) else "no reason given"
            raise CannotTranslate(f"{path}, line {found[1]}: cannot be translated ({reason}); change this line")
    return str(tree)


@cache
def _tool() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from lib2to3 import refactor as lib2to3_refactor

            refactor: Any = lib2to3_refactor
    except ImportError as error:
        raise VmzError(
            "--py2 needs lib2to3, which this Python lacks; use the Caffe2 environment, Python 3.9"
        ) from error
    logging.getLogger("RefactoringTool").setLevel(logging.CRITICAL)  # it tells of fixers that want to run first

    class Tool(refactor.RefactoringTool):  # type: ignore[misc]
        def log_error(self, message: str, *arguments: Any, **keywords: Any) -> NoReturn:
            raise

        def refactor_string(self, data: str, name: str) -> Any:
            features = refactor._detect_future_features(data)
            if "print_function" in features:
                self.driver.grammar = refactor.pygram.python_grammar_no_print_statement
            try:
                tree = self.driver.parse_string(data)
            finally:
                self.driver.grammar = self.grammar
            tree.future_features = features
            self.refactor_tree(tree, name)
            return tree

    return Tool([f"lib2to3.fixes.fix_{name}" for name in FIXERS.split()])


def _tokens(text: str) -> list[Any]:
    from lib2to3.pgen2 import tokenize

    try:
        return list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, IndentationError):
        return []  # the parser says so, with the line


def _without_tabs(text: str) -> str:
    """Indentation in spaces, a tab reaching to the next multiple of 8 as Python 2 counted; strings stay."""
    if "\t" not in text:
        return text
    from lib2to3.pgen2 import token

    lines = text.split("\n")
    inside = {
        line
        for kind, _, (first, _), (last, _), _ in _tokens(text)
        if kind == token.STRING
        for line in range(first + 1, last + 1)
    }
    for number, line in enumerate(lines, 1):
        indentation = line[: len(line) - len(line.lstrip(" \t"))]
        if "\t" in indentation and number not in inside:
            lines[number - 1] = indentation.expandtabs(8) + line[len(indentation) :]
    return "\n".join(lines)


def _strings(text: str) -> str:
    """String literals that mean in Python 3 what they meant: ur"..." without its u, "\\xff" as the byte that it was.

    A byte is the character that `as_bytes` turns into it; in a plain literal \\u and \\N were no escapes.
    """
    if not re.search(r"\b[uU][rR]['\"]|\\[xuUN0-7]", text):
        return text
    from lib2to3.pgen2 import token

    is_unicode = bool(re.search(r"(?m)^from\s+__future__\s+import\b.*\bunicode_literals\b", text))
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for kind, piece, (line, column), _, _ in reversed(_tokens(text)):
        if kind != token.STRING:
            continue
        prefix = re.match(r"[a-zA-Z]*", piece)[0].lower()  # type: ignore[index]
        new = piece
        if prefix == "ur":
            new = piece[1:]
        elif prefix == "" and not is_unicode:
            new = re.sub(r"(?s)\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", _escape, piece)
        if new != piece:
            start = starts[line - 1] + column
            text = text[:start] + new + text[start + len(piece) :]
    return text


def _escape(found: re.Match[str]) -> str:
    what = found[1]
    if what in ("u", "U", "N"):
        return "\\\\" + what
    number = int(what[1:], 16) if len(what) == 3 and what[0] == "x" else int(what, 8) % 256 if what.isdigit() else 0
    return f"\\udc{number:02x}" if number > 127 else found[0]


def _line_map(old: str, new: str) -> list[int]:
    """For each line of `new`, from 1 on, the line of `old` that it came from."""
    before, after = old.split("\n"), new.split("\n")
    found = [1] * (len(after) + 2)
    for _, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for place in range(j1, j2):
            found[place + 1] = min(i1 + (place - j1), max(i2 - 1, i1)) + 1
    return found


def _old_line(old: str, new: str, line: int) -> int:
    found = _line_map(old, new)
    return found[min(line, len(found) - 1)]


def _renumber(tree: ast.Module, old: str, new: str) -> None:
    found = _line_map(old, new)
    for node in ast.walk(tree):
        for name in ("lineno", "end_lineno"):
            line: Optional[int] = getattr(node, name, None)
            if line is not None:
                setattr(node, name, found[min(line, len(found) - 1)])

"""Sources of Python 2, translated and run: what each prints, as Python 2.7.18 printed it."""

from __future__ import annotations

import importlib.util
import traceback
from types import ModuleType

import pytest

from vmz.mends.python2 import hook
from vmz.mends.python2.source import CannotTranslate, decode, parse

pytestmark = pytest.mark.skipif(importlib.util.find_spec("lib2to3") is None, reason="this Python has no lib2to3")


def run(source: str, capsys: pytest.CaptureFixture[str]) -> str:
    module = ModuleType("program")
    content = source.encode()
    exec(hook.prepare(module, content, "program.py"), vars(module))
    return capsys.readouterr().out


# (source, what it prints)
CASES = {
    "print": ("print 'a', 1\nprint\nprint 'b',\nprint 'c'", "a 1\n\nb c\n"),
    "print to a file": ("import sys\nprint >>sys.stdout, 'x', 'y'", "x y\n"),
    "print as a function": ("from __future__ import print_function\nprint('a', 'b', sep='-')", "a-b\n"),
    "type of a text": (
        "t = type(u'x')\nprint t is unicode, t == unicode, t is not unicode, t != unicode\n"
        "print {unicode: 2}[t], unicode is t\n"
        "print type(3) is unicode, None is unicode, t in (int, unicode), type(3L) is long",
        "True True False False\n2 True\nFalse False True True\n",
    ),
    "division": ("print 7 / 2, -7 / 2, 7.0 / 2, 7 // 2, 1 / 2 * 2", "3 -4 3.5 3 0\n"),
    "true division": ("from __future__ import division\nprint 7 / 2", "3.5\n"),
    "division in place": ("x = 7\nx /= 2\ny = [9]\ny[0] /= 2\nprint x, y", "3 [4]\n"),
    "division in a class": (
        "class A(object):\n  def __div__(self, o): return 'div'\n  n = 5\na = A()\na.n /= 2\nprint a / 1, a.n",
        "div 2\n",
    ),
    "division of arrays": ("import numpy as np\nprint (np.arange(5) / 2).tolist()", "[0, 0, 1, 1, 2]\n"),
    "division of an array in place": (
        "import numpy as np\na = np.arange(3) * 1.\nb = a\na /= 2\nprint b.tolist(), (np.float32(3) / 2)",
        "[0.0, 0.5, 1.0] 1.5\n",
    ),
    "batches": ("for i in range(10 / 4): print i,", "0 1 "),
    "numbers": ("print 0777, 0x1F, 10L, 1e3, -0017", "511 31 10 1000.0 -15\n"),
    "lists": (
        "print range(3), map(str, [1]), filter(None, [0, 2]), zip([1], [2]), {1: 2}.items(), {1: 2}.keys()[0]",
        "[0, 1, 2] ['1'] [2] [(1, 2)] [(1, 2)] 1\n",
    ),
    "map of several": ("print map(None, [1, 2], [3]), filter(lambda c: c > 'a', 'abc')", "[(1, 3), (2, None)] bc\n"),
    "dict": (
        "d = {'a': 1}\nfor k, v in d.iteritems(): print k, v\nfor k in d.keys(): del d[k]\nprint d.has_key('a')",
        "a 1\nFalse\n",
    ),
    "exceptions": (
        "try:\n  raise ValueError, 'no'\nexcept (KeyError, ValueError), e:\n  print e.message, e\nprint repr(e)[:10]",
        "no no\nValueError\n",
    ),
    "mixed types": (
        "l = [3, 'b', None, 1.5, 'a']\nl.sort()\nprint l, sorted([2, None]), None < 0, max('a', 3), 'a' > 10 ** 9",
        "[None, 1.5, 3, 'a', 'b'] [None, 2] True a True\n",
    ),
    "tuples of mixed types": ("print sorted([(1, 'a'), (1, None), (0, 2)])", "[(0, 2), (1, None), (1, 'a')]\n"),
    "cmp": (
        "l = [1, 3, 2]\nl.sort(lambda a, b: cmp(b, a))\nprint l, sorted(l, cmp=cmp), cmp(1, 2)",
        "[3, 2, 1] [1, 2, 3] -1\n",
    ),
    "ordered by __cmp__": (
        "class V(object):\n  def __init__(s, n): s.n = n\n  def __cmp__(s, o): return cmp(s.n, o.n)\n"
        "print V(1) < V(2), V(1) == V(1), max(V(1), V(3)).n, len({V(1): 0})",
        "True True 3 1\n",
    ),
    "hashes": (
        "class V(object):\n  def __eq__(s, o): return isinstance(o, V)\nv = V()\nprint {v: 1}[v], V() == V(), V() == 1",
        "1 True False\n",
    ),
    "names": (
        "print unicode('x'), isinstance('x', basestring), isinstance(2, (int, long)), unichr(65), reduce(max, [1, 3])",
        "x True True A 3\n",
    ),
    "xrange": ("print len(xrange(5)), [i for i in xrange(2)]", "5 [0, 1]\n"),
    "round": (
        "print round(2.5), round(-2.5), round(0.5), round(2.675, 1), round(1234.5, -2)",
        "3.0 -3.0 1.0 2.7 1200.0\n",
    ),
    "backticks and <>": ("x = 'a'\nprint `x`, 1 <> 2", "'a' True\n"),
    "exec": ("exec 'y = 5 / 2; print y'\nns = {}\nexec 'z = 7 / 2' in ns\nprint y, ns['z']", "2\n2 3\n"),
    "parameters that are tuples": ("def f((a, b), c):\n  return a + b + c\nprint f((1, 2), 3)", "6\n"),
    "tabs and spaces": ("if 1:\n\tprint 'a'\n        print 'b'\nprint '''\n\tc'''", "a\nb\n\n\tc\n"),
    "iterators": (
        "class N(object):\n  def __iter__(self): return self\n  def next(self): return 4\n"
        "print N().next(), iter([5]).next()",
        "4 5\n",
    ),
    "truth": ("class F(object):\n  def __nonzero__(self): return False\nprint bool(F())", "False\n"),
    "metaclass": (
        "class M(type): pass\nclass C(object):\n  __metaclass__ = M\nprint type(C).__name__",
        "M\n",
    ),
    "bytes": (
        "s = '\\xff\\x41\\101'\nprint len(s), ord(s[0]), chr(255) == s[0], 'a\\u0041' == u'a\\u0041', ur'\\d'",
        "3 255 True False \\d\n",
    ),
    "bytes and text": (
        "b = bytes(bytearray([97, 98, 32, 99]))\nprint b == 'ab c', b.split(' '), '%s-%s' % (b, 1), '{}'.format(b),\n"
        "print b + '!', b.startswith('a'), '/'.join([b, 'd'])",
        "True ['ab', 'c'] ab c-1 ab c ab c! True ab c/d\n",
    ),
    "unicode": (
        "print unicode('a', 'utf-8'), unicode(3), isinstance(u'a', unicode), isinstance(3, unicode)\n"
        "print repr(u'a' + 'b')[-4:]",
        "a 3 True False\n'ab'\n",
    ),
    "sums and remainders": (
        "print 7 % 3, '%d %r' % (1, 'a'), '%(a)s' % {'a': 1}, 1 + 2, [1] + [2], 'a' != 'b', (1, 2).index(2),\n"
        "print [3].count(3)",
        "1 1 'a' 1 3 [1, 2] True 1 1\n",
    ),
    "codecs": ("print 'ab'.encode('hex'), 'a'.decode('utf8'), '6162'.decode('hex')", "6162 a ab\n"),
    "function attributes": ("def f(): pass\nprint f.func_name", "f\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_prints_what_python_2_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    source, printed = CASES[name]
    assert run(source + "\n", capsys) == printed


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_the_encoding_comment_counts(encoding: str) -> None:
    text = f"#!/usr/bin/env python\n# -*- coding: {encoding} -*-\nx = u'\xe9'\n"
    assert decode(text.encode(encoding), "a.py") == text


def test_line_endings_and_a_byte_order_mark() -> None:
    assert decode(b"\xef\xbb\xbfx = 1\r\ny = 2", "a.py") == "x = 1\ny = 2\n"


FAILING = """\
import os

class A(object):
    __metaclass__ = type

    def f(self, (a, b)):
        '''text
        of several lines'''
        try:
            pass
        except (KeyError, ValueError), e:
            pass
        raise KeyError, a

print 'before'
A().f((1, 2))
"""


def test_lines_of_a_traceback_are_those_of_the_file() -> None:
    module = ModuleType("program")
    with pytest.raises(KeyError) as raised:
        exec(hook.prepare(module, FAILING.encode(), "program.py"), vars(module))
    frames = [frame for frame in traceback.extract_tb(raised.value.__traceback__) if frame.filename == "program.py"]
    assert [(frame.name, frame.lineno) for frame in frames] == [("<module>", 16), ("f", 13)]


@pytest.mark.parametrize(
    "source, sentence",
    [
        ("x = 1\ny = = 2\n", "program.py, line 2: this is not valid Python 2 (near '=')"),
        ("def f():\n    return 1\n  x = 2\n", "program.py, line 3: this is not valid Python 2 (unindent"),
        ("x = '''abc\n", "program.py, line 1: this is not valid Python 2 (EOF in multi-line string)"),
        ("import os\nraise 'text', 3\n", "program.py, line 2: cannot be translated (Python 3 does not support string"),
        ("def f((a, b)):\n    pass\nasync = 1\n", "program.py, line 3: cannot be translated from Python 2"),
        ("def f(): return [1]\nf()[0] /= 2\n", "program.py, line 2: `/=` to the result of a call"),
        ("# coding: klingon\n", "program.py, line 1: unknown encoding 'klingon'"),
    ],
)
def test_what_cannot_be_translated_is_named(source: str, sentence: str) -> None:
    with pytest.raises(CannotTranslate) as refused:
        hook.translate(source.encode(), "program.py")
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_python_3_already_stays() -> None:
    tree = parse("import sys\nprint('a', file=sys.stderr)\n", "a.py")
    assert len(tree.body) == 2

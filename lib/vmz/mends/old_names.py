"""Modules and names that Python 3 and newer numpy no longer have."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from types import ModuleType
from typing import Any, Callable

from vmz.mends.hooks import renamed, stand_in, supply, when_imported
from vmz.mends.table import mend

MODULES = {
    "__builtin__": "builtins",
    "anydbm": "dbm",
    "BaseHTTPServer": "http.server",
    "CGIHTTPServer": "http.server",
    "commands": "subprocess",
    "ConfigParser": "configparser",
    "Cookie": "http.cookies",
    "cookielib": "http.cookiejar",
    "copy_reg": "copyreg",
    "dummy_thread": "_thread",
    "exceptions": "builtins",
    "HTMLParser": "html.parser",
    "htmlentitydefs": "html.entities",
    "httplib": "http.client",
    "Queue": "queue",
    "repr": "reprlib",
    "SimpleHTTPServer": "http.server",
    "SimpleXMLRPCServer": "xmlrpc.server",
    "SocketServer": "socketserver",
    "thread": "_thread",
    "Tkinter": "tkinter",
    "tkFileDialog": "tkinter.filedialog",
    "tkMessageBox": "tkinter.messagebox",
    "urlparse": "urllib.parse",
    "UserDict": "collections",
    "UserList": "collections",
    "UserString": "collections",
    "xml.etree.cElementTree": "xml.etree.ElementTree",
    "xmlrpclib": "xmlrpc.client",
}
GONE = {*MODULES, "StringIO", "cPickle", "cStringIO", "md5", "sets", "sha", "urllib2"}  # Python 2's alone
COLLECTIONS = """Callable Container Hashable ItemsView Iterable Iterator KeysView Mapping MutableMapping
    MutableSequence MutableSet Sequence Set Sized ValuesView"""
OF_STR = """capitalize count expandtabs find index lower lstrip replace rfind rindex rjust rsplit rstrip split strip
    swapcase upper zfill"""
URL_REQUEST = "FancyURLopener URLopener pathname2url url2pathname urlcleanup urlopen urlretrieve"
URL_PARSE = "quote quote_plus unquote unquote_plus urlencode"
# {module: {old name: where the value is now, as module:name, or how it is made}}
NAMES: dict[str, dict[str, Any]] = {
    "base64": {"decodestring": "base64:decodebytes", "encodestring": "base64:encodebytes"},
    "cgi": {"escape": lambda: lambda text, quote=False: importlib.import_module("html").escape(text, quote)},
    "collections": {name: f"collections.abc:{name}" for name in COLLECTIONS.split()},
    "contextlib": {"nested": lambda: _nested()},
    "fractions": {"gcd": "math:gcd"},
    "inspect": {"getargspec": lambda: _getargspec()},
    "itertools": {
        "ifilter": "builtins:filter",
        "ifilterfalse": "itertools:filterfalse",
        "imap": "builtins:map",
        "izip": "builtins:zip",
        "izip_longest": "itertools:zip_longest",
    },
    "operator": {"div": "operator:truediv", "isCallable": "builtins:callable"},
    "os": {"errno": lambda: importlib.import_module("errno"), "getcwdu": "os:getcwd"},
    "posixpath": {"walk": lambda: _walk},
    "string": {
        "atof": "builtins:float",
        "atoi": "builtins:int",
        "atol": "builtins:int",
        "join": lambda: lambda words, sep=" ": sep.join(words),
        "letters": "string:ascii_letters",
        "lowercase": "string:ascii_lowercase",
        "maketrans": lambda: str.maketrans,
        "uppercase": "string:ascii_uppercase",
        **{name: (lambda name=name: getattr(str, name)) for name in OF_STR.split()},
    },
    "sys": {
        "exc_clear": lambda: lambda: None,
        "maxint": lambda: sys.maxsize,
        "setdefaultencoding": lambda: lambda name: None,  # it is UTF-8 anyway
    },
    "time": {"clock": "time:process_time"},
    "types": {
        "BooleanType": "builtins:bool",
        "ClassType": "builtins:type",
        "DictType": "builtins:dict",
        "FileType": "io:IOBase",
        "FloatType": "builtins:float",
        "IntType": "builtins:int",
        "ListType": "builtins:list",
        "LongType": "builtins:int",
        "NoneType": lambda: type(None),
        "ObjectType": "builtins:object",
        "StringType": "builtins:str",
        "StringTypes": lambda: (str,),
        "TupleType": "builtins:tuple",
        "UnicodeType": "builtins:str",
    },
    "urllib": {
        **{name: f"urllib.request:{name}" for name in URL_REQUEST.split()},
        **{name: f"urllib.parse:{name}" for name in URL_PARSE.split()},
    },
}
# Modules whose old names all are Python 2's: a package that finds one takes this for Python 2.
PYTHON_2 = {"itertools", "posixpath", "string", "sys", "types", "urllib"}
NUMPY = {
    "Inf": "numpy:inf",
    "NaN": "numpy:nan",
    "PINF": "numpy:inf",
    "alltrue": "numpy:all",
    "asscalar": lambda: lambda array: array.item(),
    "bool": "builtins:bool",
    "complex": "builtins:complex",
    "cumproduct": "numpy:cumprod",
    "float": "builtins:float",
    "float_": "numpy:float64",
    "infty": "numpy:inf",
    "int": "builtins:int",
    "long": "builtins:int",
    "object": "builtins:object",
    "product": "numpy:prod",
    "rank": "numpy:ndim",
    "row_stack": "numpy:vstack",
    "sometrue": "numpy:any",
    "str": "builtins:str",
    "string_": "numpy:bytes_",
    "unicode": "builtins:str",
    "unicode_": "numpy:str_",
}


@mend("old-modules", "modules that Python 3 renamed: Queue, ConfigParser, StringIO, urllib2, commands ...")
def install_modules() -> None:
    for old, new in MODULES.items():
        stand_in(old, renamed(new), "old-modules")
    for old in ("StringIO", "cStringIO"):
        stand_in(old, lambda: importlib.import_module("vmz.mends.python2.string_io"), "old-modules")
    stand_in("urllib2", lambda: _merged("urllib2", "urllib.parse", "urllib.error", "urllib.request"), "old-modules")
    for old, function in (("md5", "md5"), ("sha", "sha1")):
        stand_in(old, lambda old=old, function=function: _hash(old, function), "old-modules")  # type: ignore[misc]
    stand_in("sets", lambda: _with("sets", Set=set, ImmutableSet=frozenset), "old-modules")


@mend("old-names", "names that modules of Python 3 lack: string.letters, sys.maxint, os.getcwdu, time.clock ...")
def install_names() -> None:
    for module, names in NAMES.items():
        makers = {name: _maker(where) for name, where in names.items()}
        only = frozenset(makers if module in PYTHON_2 else ())
        when_imported(module, partial(supply, names=makers, mend="old-names", only_program=only))


@mend("numpy", "names that newer numpy lacks: numpy.asscalar, numpy.int, numpy.float, numpy.bool, numpy.object ...")
def install_numpy() -> None:
    makers = {name: _maker(where) for name, where in NUMPY.items()}
    when_imported("numpy", lambda found: supply(found, makers, "numpy"))


def _maker(where: Any) -> Callable[[], Any]:
    if callable(where):
        return where
    module, _, name = where.partition(":")
    return lambda: getattr(importlib.import_module(module), name)


def _with(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(contents)
    return module


def _merged(name: str, *modules: str) -> ModuleType:
    contents: dict[str, Any] = {}
    for module in modules:
        found = vars(importlib.import_module(module))
        contents.update({key: value for key, value in found.items() if not key.startswith("__")})
    return _with(name, **contents)


def _hash(name: str, function: str) -> ModuleType:
    new = getattr(importlib.import_module("hashlib"), function)
    return _with(name, **{"new": new, name: new})


def _nested() -> Any:
    contextlib = importlib.import_module("contextlib")

    @contextlib.contextmanager
    def nested(*managers: Any) -> Any:
        with contextlib.ExitStack() as stack:
            yield tuple(stack.enter_context(manager) for manager in managers)

    return nested


def _walk(top: str, visit: Any, argument: Any) -> None:
    """Python 2's os.path.walk: visit(argument, folder, names); names that it removes are not entered."""
    os = importlib.import_module("os")
    names = os.listdir(top)
    visit(argument, top, names)
    for path in (os.path.join(top, name) for name in names):
        if os.path.isdir(path) and not os.path.islink(path):
            _walk(path, visit, argument)


def _getargspec() -> Any:
    inspect, collections = importlib.import_module("inspect"), importlib.import_module("collections")
    spec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")

    def getargspec(function: Any) -> Any:
        found = inspect.getfullargspec(function)
        return spec(found.args, found.varargs, found.varkw, found.defaults)

    return getargspec

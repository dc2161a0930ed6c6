"""As tools/_find_vmz.py."""

import importlib.util
import os

path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools", "_find_vmz.py")
spec = importlib.util.spec_from_file_location(__name__, path)
spec.loader.exec_module(importlib.util.module_from_spec(spec))

"""--py2: sources of Python 2, translated in memory as they are imported. Needs lib2to3: Python 3.9 to 3.12."""

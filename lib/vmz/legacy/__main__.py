"""`python -m vmz.legacy`: see vmz.cli.legacy."""

import sys

from vmz.cli.legacy import main

if __name__ == "__main__":
    sys.exit(main())

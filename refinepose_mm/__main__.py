"""``python -m refinepose_mm`` is the `refinepose` command."""

import sys

from .cli import main

sys.exit(main())

"""``python -m littoral_agent`` is ``littoral agent``, without what finding the command loads."""

import sys

from littoral.door import main

sys.exit(main(["agent", *sys.argv[1:]]))

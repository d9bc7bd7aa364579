"""``python -m littoral`` is the command ``littoral``."""

import sys

from littoral.door import main

sys.exit(main())

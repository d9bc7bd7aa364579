import sys

from boot.story import main

sys.exit(main(sys.argv[1:]))

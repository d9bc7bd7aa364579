"""``python -m littoral_agent.prove KEY`` signs the nonce on its standard input with the device key.

A process of its own, once in ten minutes and only over HTTPS: what it loads to sign would
stay in the agent for ever.
"""

import sys
from pathlib import Path

from littoral.trust.keys import sign_session

MOST_NONCE = 1024

if __name__ == "__main__":
    sys.stdout.write(sign_session(Path(sys.argv[1]), sys.stdin.read(MOST_NONCE)))

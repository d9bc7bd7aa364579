"""``python -m littoral_agent.prove KEY`` signs the nonce on its standard input with the device key.

With the word ``receipt`` after the key it signs what is left on a medium. A process of its own,
once in ten minutes and only over HTTPS, or when somebody brings a medium: what it loads to
sign would stay in the agent for ever.
"""

import sys
from pathlib import Path

from littoral.trust.keys import sign_receipt, sign_session
from littoral.wire.receipt import MOST_PAYLOAD

MOST_NONCE = 1024

if __name__ == "__main__":
    key = Path(sys.argv[1])
    if sys.argv[2:] == ["receipt"]:
        signature = sign_receipt(key, sys.stdin.buffer.read(MOST_PAYLOAD))
    else:
        signature = sign_session(key, sys.stdin.read(MOST_NONCE))
    sys.stdout.write(signature)

"""The decoder as it is, which says beside its work how much memory it had taken at most.

``$TOOK`` names the pipe into which it says that, ``$BROKEN`` a rule of faults.encodings_teeth.
"""

import os
import re

from littoral_agent import decode

_MOST = re.compile(rb"VmHWM:\s+(\d+) kB")


def main() -> int:
    told = os.open(os.environ["TOOK"], os.O_WRONLY)
    status = os.open("/proc/self/status", os.O_RDONLY)
    try:
        return decode.main()
    finally:
        found = _MOST.search(os.read(status, 4096))
        os.write(told, (found[1] if found else b"0") + b"\n")


if __name__ == "__main__":
    if rule := os.environ["BROKEN"]:
        from faults import encodings_teeth

        with encodings_teeth.broken(rule):
            os._exit(main())
    os._exit(main())

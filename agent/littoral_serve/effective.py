"""``python -m littoral_serve.effective DATA [FILE]``: what serve's settings come to, as JSON.

For who must not import serve: its settings are its own to judge. An empty DATA is none.
"""

import sys
from pathlib import Path

from littoral import records
from littoral.effective import examine
from littoral_serve import settings


def main(data: str, file: str | None = None) -> None:
    places = (Path(file),) if file else settings.places(Path(data) if data else None)
    sys.stdout.buffer.write(records.to_json(examine(settings.Settings, places)))


if __name__ == "__main__":
    main(*sys.argv[1:])

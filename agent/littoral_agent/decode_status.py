"""How littoral_agent.decode ends, beside 0: all that who started it reads of it, but for its words.

Apart from it, for that one loads a decoder, which the agent never does.
"""

from typing import Final

MODULE: Final = "littoral_agent.decode"

REFUSED: Final = 3  # these bytes are no such encoding
STARVED: Final = 4  # there was no memory
DAMAGED: Final = 5  # the disk did not give what it holds
LEFT: Final = 6  # nobody reads any more
BROKEN: Final = 7  # nobody thought of these bytes

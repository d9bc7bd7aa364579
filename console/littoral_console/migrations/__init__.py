"""How a database of an earlier console becomes one of this."""

"""Ways into the converter: each reads models of one kind, in a child, and leaves a program."""

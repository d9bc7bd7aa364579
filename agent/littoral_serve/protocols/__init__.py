"""What clients say, and what they are answered: one module a protocol. Runs nothing itself."""

"""Whether to believe what arrived, both sides: who signs, and who checks before acting.

Importing this package costs nothing; its modules load ``tuf`` and ``cryptography``, about
11 MB on a device, so an agent imports them in the function that looks at an update.
``clock`` and ``beliefs`` are light.
"""

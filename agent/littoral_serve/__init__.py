"""The device's data plane: runs models, serves them, tries candidates in a child."""

"""The subcommands that need no room: keys and repo."""

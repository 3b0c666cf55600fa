"""What the tests share: places, photos, the command line, networks, and more of the kind."""

"""A server for trained networks: one page for people, KServe's protocol for programs."""

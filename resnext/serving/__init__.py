"""The server for trained networks: a page for people, KServe's protocol for programs."""

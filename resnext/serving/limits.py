"""Every limit of the server, in one table, which docs/serving.md quotes."""

MAX_BODY = 16 * 2**20  # bytes of a request
MAX_BODIES = 16 * MAX_BODY  # bytes of all requests at once
MAX_JSON = 4 * 2**20  # bytes of the JSON in a request
MAX_IMAGES = 32  # in one request

HEADER_SECONDS = 10.0  # in which a connection must have sent the head of a request
BODY_SECONDS = 10.0  # in which a client must have sent a body, and more for what it sends at LEAST_RATE
LEAST_RATE = 100_000  # bytes per second
STALLED_SECONDS = 10.0  # in which a client must read what it was sent
KEEP_ALIVE = 75  # seconds that a connection may be without a request: longer than balancers keep theirs

MAX_CONNECTIONS = 4_000  # more are answered with 503
BACKLOG = 2048  # connections that wait to be accepted

MAX_DISCARDED = 2 * MAX_BODY  # bytes of a body read before it is refused: a client that still sends sees no answer
DISCARD_SECONDS = 5.0  # for that

"""Every limit of the server, in one table, which docs/serving.md quotes."""

MAX_BODY = 16 * 2**20  # bytes of a request
MAX_BODIES = 16 * MAX_BODY  # bytes of all requests at once
MAX_JSON = 4 * 2**20  # bytes of the JSON in a request
MAX_STRINGS = 10_000  # in the JSON of a request, the names of fields included, and as many objects
MAX_IMAGES = 32  # in one request
LEAST_CHUNK = 64  # bytes of a chunk of a body, on average
FREE_CHUNKS = 1_000  # that may be smaller
EXTENSION = 21  # bytes of a chunk's first line, within which the extensions begin, if there are any

# What decoding costs, in pixels of a PNG (`resnext.images.decode.decoding_cost`).
COSTLY = 2_000_000  # of a request: more is decoded in other threads, the cheapest first
MAX_COSTLY = 320_000_000  # of all such requests that are due before another one, unless it is alone
COSTLY_PER_SECOND = 32_000_000
SHARERS = 16  # clients that may send as costly files at the same time

HEADER_SECONDS = 10.0  # within which a connection must send the head of a request
BODY_SECONDS = 10.0  # within which further bytes of a body must arrive, and all of it, plus its time at LEAST_RATE
LEAST_RATE = 100_000  # bytes per second
RESTED_SECONDS = 1.0  # without bytes, after which a body is ended if there is no room for others
STALLED_SECONDS = 10.0  # within which a client must read an answer
KEEP_ALIVE = 75  # seconds that a connection may be idle: longer than balancers keep theirs

MAX_CONNECTIONS = 4_000  # further ones are answered with 503
BACKLOG = 2048  # connections waiting to be accepted

MAX_DISCARDED = 2 * MAX_BODY  # bytes read of a refused body: a client that is still sending sees no answer
DISCARD_SECONDS = 5.0  # for reading them

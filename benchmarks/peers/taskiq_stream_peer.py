"""taskiq's stream broker, which acknowledges: as fast in draining as its list broker."""

import peer
from taskiq_peer import command, main, ready
from taskiq_redis import RedisStreamBroker

# From the first message on: by default a new worker takes only what is sent after it has come.
broker = ready(RedisStreamBroker(peer.URL, socket_timeout=None, consumer_id="0"))
COMMAND = command("taskiq_stream_peer:broker")
BOTH = command("taskiq_stream_peer:broker", 2)

if __name__ == "__main__":
    main(broker, "RedisStreamBroker, redelivery after 10 minutes (its default)")

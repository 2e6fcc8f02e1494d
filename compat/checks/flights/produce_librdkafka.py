"""Sends `key TAB value` lines with librdkafka, idempotent, zstd. Says `acked N` on the way and `done N` at the end."""
import sys
import time

from confluent_kafka import Producer

bootstrap, topic, path = sys.argv[1:]
acked = 0


def on_delivery(error, _message):
    global acked
    if error:
        sys.exit(f"lost a record: {error}")
    acked += 1
    if acked % 2000 == 0:
        print("acked", acked, flush=True)


client = Producer({
    "bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "zstd", "linger.ms": 5,
    "message.timeout.ms": 300_000, "reconnect.backoff.max.ms": 500, "queue.buffering.max.messages": 5000,
})
for count, line in enumerate(open(path, "rb")):
    key, _, value = line.rstrip(b"\n").partition(b"\t")
    while True:
        try:
            client.produce(topic, key=key, value=value, on_delivery=on_delivery)
            break
        except BufferError:
            client.poll(0.1)
    client.poll(0)
    if count % 1000 == 999:
        time.sleep(0.02)  # slow enough to be met by a kill in its middle
if client.flush(300):
    sys.exit("records were left")
print("done", acked, flush=True)

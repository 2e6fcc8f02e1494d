"""Sends `key TAB value` lines with kafka-python, idempotent, lz4. Says `acked N` on the way and `done N` at the end."""
import os
import sys
import threading

from kafka import KafkaProducer

bootstrap, topic, path = sys.argv[1:]
acked = 0
lock = threading.Lock()


def on_ack(_meta):
    global acked
    with lock:
        acked += 1
        if acked % 2000 == 0:
            print("acked", acked, flush=True)


def on_error(error):
    print(f"lost a record: {error!r}", flush=True)
    os._exit(1)


client = KafkaProducer(
    bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", compression_type="lz4", linger_ms=5, batch_size=32_000,
    delivery_timeout_ms=300_000, request_timeout_ms=30_000, reconnect_backoff_max_ms=500, max_block_ms=300_000,
)
for line in open(path, "rb"):
    key, _, value = line.rstrip(b"\n").partition(b"\t")
    client.send(topic, key=key, value=value).add_callback(on_ack).add_errback(on_error)
client.flush(300)
client.close(60)
print("done", acked, flush=True)

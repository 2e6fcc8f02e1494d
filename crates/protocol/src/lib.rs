//! Kafka's bytes: messages, headers, record batches, compression.

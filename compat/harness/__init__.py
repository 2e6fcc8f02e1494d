"""What the checks share: installing clients, starting brokers, reporting cases, speaking the protocol by hand."""

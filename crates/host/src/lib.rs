//! The machine a node runs on, as narrow traits: network, disk, clock, randomness, tasks.

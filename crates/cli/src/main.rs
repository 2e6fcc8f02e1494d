//! The binary `bourn`: arguments and wiring.

fn main() {}

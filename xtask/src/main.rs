//! Tasks of the repository: code generation, layer and size checks, campaigns.

fn main() {}

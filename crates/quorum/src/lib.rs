//! The replicated metadata log: propose, committed stream, snapshot.

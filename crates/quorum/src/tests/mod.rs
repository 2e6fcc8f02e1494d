//! What only the inside can see: openraft's own suites against our storage and runtime, and files byte by byte.

mod files;
mod runtime;
mod storage;

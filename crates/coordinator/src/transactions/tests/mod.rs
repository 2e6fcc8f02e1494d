//! What holds whatever comes, and bytes.

mod model;
mod records;

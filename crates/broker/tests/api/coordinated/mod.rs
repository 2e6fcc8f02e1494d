//! Transactions through the whole broker: coordinator, partitions, groups. The rules of the coordinator itself are tested in
//! `coordinator`, those of the log in `transactions` and `storage`.

mod ends;
mod fences;
mod offsets;
mod producer;
mod tools;

//! A whole cluster with its clients in one process and one thread, under virtual time and faults.

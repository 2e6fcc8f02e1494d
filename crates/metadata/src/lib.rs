//! What the cluster knows: records, immutable image, delta, and the controller's decisions.

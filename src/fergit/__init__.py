"""A replication of Bah & Xue (2022): facial expression recognition with an adapted residual network."""

"""People who sign in, what they may do, and the keys their programs use."""

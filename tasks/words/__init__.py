"""Images with sentences: what the kinds `caption` and `embed` share, from words as numbers to the features of a frozen backbone."""

"""What generated images are measured by: features, the distances between two sets of them, and the manifolds that they span."""

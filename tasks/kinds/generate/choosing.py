"""By what nothing is chosen: metrics that evaluations measure and trainings do not. `tasks.params.traps` reads this file."""

# They need a judge, Inception or many samples, and `nll` 200 passes an image.
TEST_ALONE = (
    "fid_small", "fid", "fid_all", "fid_floor", "kid", "nll", "class_share", "class_share_unseen", "class_entropy", "precision_manifold",
    "recall_manifold", "log_likelihood_z", "path_length_z", "path_length_w", "separability_z", "separability_w", "faces_found", "samples_per_second",
)  # fmt: skip

"""By what nothing is chosen: metrics that evaluations measure and trainings do not. `tasks.params.traps` reads this file."""

# COCO's measures take longer than an epoch's validation.
TEST_ALONE = ("map", "map50_coco", "map75")

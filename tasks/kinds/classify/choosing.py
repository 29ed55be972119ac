"""By what nothing is chosen: metrics that evaluations measure and trainings do not. `tasks.params.traps` reads this file."""

# The mean with the mirrored image's answer takes a second pass.
TEST_ALONE = ("accuracy_flip",)

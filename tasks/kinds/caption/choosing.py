"""By what nothing is chosen: metrics that evaluations measure and trainings do not. `tasks.params.traps` reads this file."""

# They compare with the raw texts of test and train.
TEST_ALONE = ("named", "exact", "distinct", "copied")

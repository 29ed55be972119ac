"""By what nothing is chosen: metrics that evaluations measure and trainings do not. `tasks.params.traps` reads this file."""

# They need real files of whole photographs.
TEST_ALONE = ("bd_rate_webp", "bd_rate_avif", "ms_ssim", "overhead")

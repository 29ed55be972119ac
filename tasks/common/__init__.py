"""What every step uses: command lines, errors, files that appear whole, where a result came from, Ray, DVC and processes."""

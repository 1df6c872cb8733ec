# Run by pytest (scripts/test), not by make check: see doc/hacking.md.
EXTRA_DIST += \
	tests/e2e/drawn.py \
	tests/e2e/npm.py \
	tests/e2e/ort.py \
	tests/e2e/ort_run.js \
	tests/e2e/programs.py \
	tests/e2e/test_100_digits.py \
	tests/e2e/test_101_ppocr.py

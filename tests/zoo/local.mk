# Run by scripts/zoo, not by make check.
EXTRA_DIST += \
	tests/zoo/detection.py \
	tests/zoo/entry.py \
	tests/zoo/published.py \
	tests/zoo/sound.py \
	tests/zoo/text.py \
	tests/zoo/vision.py \
	tests/zoo/zoo.py
